//! Relaxation of many systems as batches that finished ones leave.

use potstill_core::{Error, Potential, Prediction, Result, System};

use super::member::Member;
use super::settings::Relaxation;
use super::{RelaxStep, Relaxed};
use crate::evaluation::{evaluate, part};

/// Relaxes systems in batches of about `batch_atoms` atoms, refilled as systems finish, and calls `on_step` for each system after
/// each evaluation. The results, in the order of the systems, do not depend on the batches.
///
/// A system that fails has its own error and leaves the others alone.
///
/// # Errors
/// An unusable setting, and failures of the potential that are not about one system.
pub fn relax_many(
    potential: &dyn Potential,
    systems: &[&System],
    settings: &Relaxation,
    batch_atoms: usize,
    on_step: &mut dyn FnMut(&RelaxStep<'_>),
) -> Result<Vec<Result<Relaxed>>> {
    settings.check()?;
    let mut crew = Crew { running: Vec::new(), done: systems.iter().map(|_| None).collect() };
    let mut next = 0;
    loop {
        while next < systems.len() && (crew.running.is_empty() || crew.has_room(systems[next], batch_atoms)) {
            crew.hire(next, systems[next], settings);
            next += 1;
        }
        if crew.running.is_empty() {
            break;
        }
        let batch: Vec<&System> = crew.running.iter().map(|member| &member.coordinates.system).collect();
        match evaluate(potential, &batch) {
            Ok(prediction) => crew.move_on(&prediction, settings, on_step),
            // The others are evaluated again, without the one at fault.
            Err(Error::System { index, name, message }) if index < crew.running.len() => {
                let member = crew.running.remove(index);
                let message = match member.steps {
                    0 => message,
                    steps => format!("after {steps} steps: {message}"),
                };
                crew.done[member.index] = Some(Err(Error::System { index: member.index, name, message }));
            }
            Err(error) => return Err(error),
        }
    }
    let missing = || Err(Error::Other("the relaxation has no result".to_owned()));
    Ok(crew.done.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
}

/// Systems on their way and those that are done.
struct Crew {
    running: Vec<Member>,
    done: Vec<Option<Result<Relaxed>>>,
}

impl Crew {
    fn has_room(&self, system: &System, batch_atoms: usize) -> bool {
        let n_running: usize = self.running.iter().map(|member| member.coordinates.system.n_atoms()).sum();
        n_running + system.n_atoms() <= batch_atoms
    }

    fn hire(&mut self, index: usize, system: &System, settings: &Relaxation) {
        match Member::new(index, system, settings) {
            Ok(member) => self.running.push(member),
            Err(error) => self.done[index] = Some(Err(error)),
        }
    }

    /// Lets each system make a step, or leave.
    fn move_on(&mut self, prediction: &Prediction, settings: &Relaxation, on_step: &mut dyn FnMut(&RelaxStep<'_>)) {
        let (mut first, mut staying) = (0, Vec::with_capacity(self.running.len()));
        for (place, mut member) in std::mem::take(&mut self.running).into_iter().enumerate() {
            let atoms = first..first + member.coordinates.system.n_atoms();
            first = atoms.end;
            let index = member.index;
            match self.judge(&mut member, part(prediction, place, atoms), settings, on_step) {
                Ok(Some(relaxed)) => self.done[index] = Some(Ok(relaxed)),
                Ok(None) => staying.push(member),
                Err(error) => {
                    let name = member.coordinates.system.name();
                    self.done[index] = Some(Err(Error::System { index, name, message: error.to_string() }));
                }
            }
        }
        self.running = staying;
    }

    fn judge(
        &self,
        member: &mut Member,
        prediction: Prediction,
        settings: &Relaxation,
        on_step: &mut dyn FnMut(&RelaxStep<'_>),
    ) -> Result<Option<Relaxed>> {
        member.judge(&prediction)?;
        let (largest_force, largest_stress) = (member.forces.on_atoms, member.forces.stress);
        let (index, step, energy) = (member.index, member.steps, prediction.energy[0]);
        let system = &member.coordinates.system;
        on_step(&RelaxStep { index, step, energy, largest_force, largest_stress, system });
        let converged = member.has_converged(settings.fmax);
        if converged || member.steps >= settings.max_steps {
            let system = std::mem::take(&mut member.coordinates.system);
            let steps = member.steps;
            return Ok(Some(Relaxed { system, prediction, steps, converged, largest_force, largest_stress }));
        }
        member.advance(settings.max_displacement)?;
        Ok(None)
    }
}
