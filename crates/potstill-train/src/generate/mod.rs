//! Structures that nobody computed: made from a seed set with the teacher, which labels them.
//!
//! Each generated system says in its metadata what it came from (`generated_by`, `seed_system`, `seed_name`, and the numbers
//! of its method), so that it can be told apart from data for ever.

pub mod collision;
pub mod dynamics;
mod guard;
pub mod rattle;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use potstill_core::system::Value;
use potstill_core::{Error, Potential, Prediction, Result, System};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

pub use self::collision::Collision;
pub use self::dynamics::Dynamics;
use self::guard::Guard;
pub use self::rattle::{Rattle, Relax};
use potstill_simulate::{Relaxation, Relaxed, relax_many};

/// Method that makes structures.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Random displacements.
    Rattle(Rattle),
    /// Random displacements, then a few steps downhill with the teacher, kept by their Boltzmann factor.
    RattleRelax(Rattle, Relax),
    /// Snapshots of Langevin dynamics with the teacher.
    Dynamics(Dynamics),
    /// Snapshots of collisions of each seed with others.
    Collision(Collision),
}

impl Method {
    fn name(&self) -> &'static str {
        match self {
            Self::Rattle(_) => "rattle",
            Self::RattleRelax(..) => "rattle-relax",
            Self::Dynamics(_) => "md",
            Self::Collision(_) => "collide",
        }
    }
}

/// Limits beyond which structures are thrown away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Structures with a pair nearer than this, in Å.
    pub min_distance: f64,
    /// Structures with a force component beyond this, in eV/Å.
    pub max_force: f64,
    /// Structures whose energy lies that much above their seed's, in eV per atom.
    pub max_energy_rise: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_distance: 0.5, max_force: 50.0, max_energy_rise: 5.0 }
    }
}

/// Numbers of structures that were thrown away, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rejected {
    /// A pair was too near, or an atom ran away into numbers that are not finite.
    pub distance: usize,
    /// A force was too large.
    pub force: usize,
    /// The energy was too high.
    pub energy: usize,
    /// The Boltzmann factor decided against it.
    pub boltzmann: usize,
}

impl Rejected {
    /// Adds the numbers of another.
    pub fn add(&mut self, other: Self) {
        self.distance += other.distance;
        self.force += other.force;
        self.energy += other.energy;
        self.boltzmann += other.boltzmann;
    }

    /// Number of all that were thrown away.
    pub fn total(&self) -> usize {
        self.distance + self.force + self.energy + self.boltzmann
    }
}

/// Makes up to `per_seed` structures from each of some seeds, labelled by `teacher`; the same for the same `seed`, whatever other seeds
/// are worked on. `range` says which of `seeds`; others may be partners of a collision.
///
/// Seeds are worked on in parallel. A structure that is thrown away is not replaced. `progress` hears how many seeds are done.
///
/// # Errors
/// Settings out of range; what the teacher refuses (unknown elements, unusable cells), naming the seed.
pub fn generate(
    teacher: &dyn Potential,
    (seeds, range): (&[System], Range<usize>),
    method: &Method,
    per_seed: usize,
    limits: &Limits,
    seed: u64,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(Vec<System>, Rejected)> {
    check(method, limits)?;
    let n_done = AtomicUsize::new(0);
    let of = |index: usize| -> Result<(Vec<System>, Rejected)> {
        let origin = &seeds[index];
        // A stream for each seed: what is made of it does not depend on the others.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let made = Context::new(teacher, origin, limits).and_then(|mut context| {
            let made = context.make(origin, seeds, method, per_seed, &mut rng)?;
            Ok((made, context.rejected))
        });
        progress(n_done.fetch_add(1, Ordering::Relaxed) + 1);
        let (mut made, rejected) = made.map_err(|error| of_seed(index, origin, error))?;
        made.iter_mut().for_each(|system| tell_origin(system, method, index, origin));
        Ok((made, rejected))
    };
    let (mut made, mut rejected) = (Vec::new(), Rejected::default());
    for result in range.into_par_iter().map(of).collect::<Vec<_>>() {
        let (systems, thrown_away) = result?;
        made.extend(systems);
        rejected.add(thrown_away);
    }
    Ok((made, rejected))
}

/// Structures that a teacher is asked about at a time.
const BATCH: usize = 16;
/// Largest force in eV/Å at which nothing is left to relax.
const RELAXED: f64 = 0.01;

/// Labels structures by a teacher, in parallel; those beyond the limits are left out and counted. Energies have no limit here.
///
/// # Errors
/// What the teacher refuses.
pub fn label(teacher: &dyn Potential, structures: &[System], limits: &Limits) -> Result<(Vec<System>, Rejected)> {
    let limits = Limits { max_energy_rise: f64::INFINITY, ..*limits };
    let of = |chunk: &[System]| -> Result<(Vec<System>, Rejected)> {
        let mut context = Context { teacher, limits: &limits, start_energy: 0.0, rejected: Rejected::default() };
        let evaluated = context.relaxed(chunk, 0)?;
        let labelled = evaluated.into_iter().filter_map(|one| context.label(one.system, one.prediction)).collect();
        Ok((labelled, context.rejected))
    };
    let (mut labelled, mut rejected) = (Vec::new(), Rejected::default());
    for result in structures.par_chunks(4 * BATCH).map(of).collect::<Vec<_>>() {
        let (systems, thrown_away) = result?;
        labelled.extend(systems);
        rejected.add(thrown_away);
    }
    Ok((labelled, rejected))
}

/// Writes into a structure what it was made of.
fn tell_origin(system: &mut System, method: &Method, index: usize, origin: &System) {
    // What was computed for the seed does not hold for other places of its atoms.
    system.columns.retain(|name, column| column.is_label(name));
    system.metadata.insert("generated_by".to_owned(), Value::Text(method.name().to_owned()));
    system.metadata.insert("seed_system".to_owned(), Value::Int(index as i64));
    if let Some(name) = origin.name() {
        system.metadata.insert("seed_name".to_owned(), Value::Text(name));
        system.metadata.remove("name");
    }
}

fn of_seed(index: usize, seed: &System, error: Error) -> Error {
    match error {
        Error::System { message, .. } => Error::System { index, name: seed.name(), message },
        other => other,
    }
}

fn check(method: &Method, limits: &Limits) -> Result<()> {
    let mut numbers = vec![
        ("min_distance", limits.min_distance),
        ("max_force", limits.max_force),
        ("max_energy_rise", limits.max_energy_rise),
    ];
    match method {
        Method::Rattle(rattle) => numbers.push(("std", rattle.std)),
        Method::RattleRelax(rattle, relax) => numbers.extend([("std", rattle.std), ("temperature", relax.temperature)]),
        Method::Dynamics(md) => numbers.extend([
            ("temperature", md.temperature),
            ("timestep", md.timestep),
            ("friction_time", md.friction_time),
        ]),
        Method::Collision(collision) => {
            let [low, high] = collision.energy;
            if low > high {
                return Err(Error::setting("min_collision_energy", format!("is {low}, above the largest, {high}")));
            }
            numbers.extend([
                ("temperature", collision.temperature),
                ("timestep", collision.timestep),
                ("gap", collision.gap),
                ("impact_parameter", collision.impact_parameter),
                ("min_collision_energy", low),
                ("max_collision_energy", high),
            ]);
        }
    }
    match numbers.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
        Some((name, value)) => Err(Error::setting(name, format!("is {value}; it must be positive"))),
        None => Ok(()),
    }
}

/// Teacher, limits and counts that all methods need for one seed.
pub(crate) struct Context<'a> {
    teacher: &'a dyn Potential,
    limits: &'a Limits,
    start_energy: f64,
    rejected: Rejected,
}

impl<'a> Context<'a> {
    fn new(teacher: &'a dyn Potential, origin: &System, limits: &'a Limits) -> Result<Self> {
        let start = teacher.evaluate(&[origin])?;
        Ok(Self { teacher, limits, start_energy: start.energy[0], rejected: Rejected::default() })
    }

    fn make(
        &mut self,
        origin: &System,
        seeds: &[System],
        method: &Method,
        n: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<System>> {
        match method {
            Method::Rattle(rattle) => rattle::rattle(self, origin, rattle, None, n, rng),
            Method::RattleRelax(rattle, relax) => rattle::rattle(self, origin, rattle, Some(relax), n, rng),
            Method::Dynamics(dynamics) => dynamics::run(self, origin, dynamics, n, rng),
            Method::Collision(settings) => collision::run(self, origin, seeds, settings, n, rng),
        }
    }

    /// The teacher as dynamics and relaxations may ask it.
    fn guard(&self) -> Guard<'a> {
        Guard::new(self.teacher, self.limits.min_distance)
    }

    /// Counts what a guard refused; see [`Guard::end`].
    fn end(&mut self, guard: &Guard<'_>, error: Error) -> Result<()> {
        self.rejected.add(guard.end(error)?);
        Ok(())
    }

    /// Structures after at most `max_steps` steps downhill, none of which left the limits; without steps they are evaluated alone.
    fn relaxed(&mut self, structures: &[System], max_steps: u64) -> Result<Vec<Relaxed>> {
        let settings = Relaxation { fmax: RELAXED, max_steps, ..Relaxation::default() };
        let guard = self.guard();
        let batch_atoms = BATCH * structures.iter().map(System::n_atoms).max().unwrap_or(0);
        let borrowed: Vec<&System> = structures.iter().collect();
        let results = match relax_many(&guard, &borrowed, &settings, batch_atoms, &mut |_| {}) {
            Ok(results) => results,
            Err(error) => return self.end(&guard, error).map(|()| Vec::new()),
        };
        if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
            self.end(&guard, Error::Other(error.to_string()))?;
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Writes the teacher's labels into a structure that its energy and forces allow.
    fn label(&mut self, mut system: System, prediction: Prediction) -> Option<System> {
        let (n, energy) = (system.n_atoms() as f64, prediction.energy[0]);
        if !energy.is_finite() || energy - self.start_energy > self.limits.max_energy_rise * n {
            self.rejected.energy += 1;
            return None;
        }
        let stress = prediction.stress(0, &system);
        let forces = prediction.forces;
        if forces.as_flattened().iter().any(|f| f.is_nan() || f.abs() > self.limits.max_force) {
            self.rejected.force += 1;
            return None;
        }
        (system.energy, system.forces, system.stress) = (Some(energy), Some(forces), stress);
        Some(system)
    }
}

#[cfg(test)]
mod tests;
