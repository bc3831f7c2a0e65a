//! Dynamics of the last student, beside those of its teacher: how long they last, whether energy drifts, which distances
//! atoms have, what a step costs.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use potstill_core::{Error, Potential, Result, System};
use potstill_simulate::{Dynamics, DynamicsSettings, Ensemble, Start};
use serde::{Deserialize, Serialize};

use super::distances::Distances;
use super::explore::{Explored, FRICTION_TIME, explore};
use super::survival::Survival;
use super::{Distillation, structures};
use crate::distill::RoundsConfig;

/// Trajectories of the last student are that many times as long as those of a round, and so many times fewer.
const LONGER: usize = 4;
/// Steps of each trajectory of the teacher, about.
const TEACHER_STEPS: usize = 200;
/// Steps between two structures of the teacher whose distances are counted.
const TEACHER_INTERVAL: u64 = 5;
/// Moments at which the energy of a trajectory at constant energy is read.
const READINGS: u64 = 100;
/// Seconds of each timing.
const TIMING: f64 = 0.2;
/// Answers that are timed, at least and at most: those of the teacher count as calls.
const TIMED_TEACHER: [usize; 2] = [3, 10];
const TIMED_STUDENT: [usize; 2] = [10, 100_000];

/// Dynamics of the last student, and of its teacher from the same structures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DynamicsCheck {
    /// One entry for each temperature, the coldest first.
    pub temperatures: Vec<AtTemperature>,
    /// Length in ps of the student's trajectories that lasted.
    pub picoseconds: f64,
    /// Times that the teacher was asked.
    pub n_calls: usize,
    /// Cost of the student's answers.
    pub student_cost: Cost,
    /// Cost of the teacher's answers.
    pub teacher_cost: Option<Cost>,
}

/// Dynamics at one temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtTemperature {
    /// How the student's trajectories with a heat bath ended.
    #[serde(flatten)]
    pub survival: Survival,
    /// Drift of the student's total energy in eV per atom and ps, at constant energy; none for direct forces, or a trajectory that
    /// broke.
    pub drift: Option<f64>,
    /// Distances in the student's trajectories.
    pub student: Distances,
    /// Distances in the teacher's trajectories, if it was asked.
    pub teacher: Distances,
    /// Part that both distributions have in common, between 0 and 1.
    pub overlap: Option<f64>,
    /// The same for two halves of the teacher's structures: as good as so few of them can be.
    pub teacher_overlap: Option<f64>,
}

/// Cost of a potential's answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Atoms of the structure that was timed.
    pub n_atoms: usize,
    /// Median of the seconds of one answer.
    pub seconds: f64,
}

impl Cost {
    /// Microseconds for each atom.
    pub fn microseconds_per_atom(&self) -> f64 {
        1e6 * self.seconds / self.n_atoms.max(1) as f64
    }

    /// Asks about a structure again and again, each time a little displaced.
    fn of(potential: &dyn Potential, system: &System, [least, most]: [usize; 2]) -> Result<Self> {
        let mut moved = system.clone();
        let (start, mut seconds) = (Instant::now(), Vec::new());
        potential.evaluate(&[&moved])?;
        while seconds.len() < least || (seconds.len() < most && start.elapsed().as_secs_f64() < TIMING) {
            let atom = seconds.len() % moved.n_atoms().max(1);
            moved.positions[atom][seconds.len() % 3] += 1e-3;
            let one = Instant::now();
            potential.evaluate(&[&moved])?;
            seconds.push(one.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(Self { n_atoms: system.n_atoms(), seconds: seconds[seconds.len() / 2] })
    }
}

impl Distillation<'_> {
    /// Runs the dynamics, or reads what an earlier command found; none when it was interrupted.
    ///
    /// # Errors
    /// What student or teacher refuse; what the file system says.
    pub(super) fn dynamics(&self, model: &Path) -> Result<Option<DynamicsCheck>> {
        let path = self.job.out.join("rounds").join("dynamics.json");
        if let Ok(bytes) = std::fs::read(&path) {
            return serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| Error::file(&path, format!("cannot be read: {e}; remove it")));
        }
        let student = self.job.host.potential(model)?;
        self.teacher.remember(&self.answers())?;
        let Some(check) = self.check(student.as_ref())? else { return Ok(None) };
        structures::write_json(&path, &check)?;
        self.teacher.forget();
        Ok(Some(check))
    }

    fn check(&self, student: &dyn Potential) -> Result<Option<DynamicsCheck>> {
        let settings = longer(self.rounds);
        let seed = self.job.config.seed.wrapping_mul(1000);
        let task = self.job.host.task("dynamics of the student", settings.trajectories);
        let tell = |done: usize| task.set(done);
        let Some(explored) = explore(student, &self.seeds, &settings, seed, self.job.interrupt, &tell)? else {
            return Ok(None);
        };
        drop(task);
        let before = self.teacher.n_calls();
        let survivals = Survival::of(&explored.lifetimes);
        let task = self.job.host.task("dynamics of the teacher, and at constant energy", survivals.len());
        let mut temperatures = Vec::new();
        for (index, survival) in survivals.into_iter().enumerate() {
            let temperature = survival.temperature;
            let frames = frames_at(&explored, temperature);
            let last = lasting_frames(&explored, temperature);
            let drift = match last.first() {
                Some(system) => drift(student, system, temperature, &settings)?,
                None => None,
            };
            let (halves, failure) = self.of_teacher(&last, temperature, seed);
            if self.job.interrupt.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if let Some(error) = failure {
                task.say(&format!("the teacher's dynamics at {temperature} K ended early: {error}"));
            }
            let [one, two] = [&halves[0], &halves[1]].map(|half| Distances::of(half));
            let teacher = Distances::of(&halves.concat())?;
            let student = Distances::of(&frames)?;
            temperatures.push(AtTemperature {
                survival,
                drift,
                overlap: student.overlap(&teacher),
                teacher_overlap: one?.overlap(&two?),
                student,
                teacher,
            });
            task.set(index + 1);
        }
        let typical = &self.seeds[self.seeds.len() / 2];
        let asks = self.rounds.comparison_calls > 0;
        let teacher_cost = asks.then(|| Cost::of(&self.teacher, typical, TIMED_TEACHER).ok()).flatten();
        Ok(Some(DynamicsCheck {
            temperatures,
            picoseconds: settings.picoseconds,
            student_cost: Cost::of(student, typical, TIMED_STUDENT)?,
            teacher_cost,
            n_calls: self.teacher.n_calls() - before,
        }))
    }

    /// Structures of short trajectories of the teacher that start where the student's ended, in two halves; a teacher that fails
    /// ends them, since the student is there already.
    fn of_teacher(&self, starts: &[System], temperature: f64, seed: u64) -> ([Vec<System>; 2], Option<Error>) {
        let mut halves = [Vec::new(), Vec::new()];
        let failure = self.run_teacher(starts, temperature, seed, &mut halves).err();
        (halves, failure)
    }

    fn run_teacher(&self, starts: &[System], temperature: f64, seed: u64, halves: &mut [Vec<System>; 2]) -> Result<()> {
        let calls = self.rounds.comparison_calls / self.rounds.temperatures.len();
        let n_trajectories = (calls / TEACHER_STEPS).clamp(1, starts.len().max(1));
        let n_steps = (calls / n_trajectories).min(2 * TEACHER_STEPS) as u64;
        if n_steps == 0 || starts.is_empty() {
            return Ok(());
        }
        let starts: Vec<&System> = starts.iter().take(n_trajectories).collect();
        let ensemble = Ensemble::Langevin { temperature, friction_time: FRICTION_TIME };
        let settings = DynamicsSettings { seed, ..DynamicsSettings::new(ensemble, self.rounds.timestep) };
        let mut dynamics = Dynamics::start(&self.teacher, &starts, &Start { temperature, exact: false }, settings)?;
        // The first third forgets the student.
        let first = n_steps / 3;
        while dynamics.step_count() < n_steps {
            dynamics.step()?;
            let step = dynamics.step_count();
            if step > first && step.is_multiple_of(TEACHER_INTERVAL) {
                for (index, state) in dynamics.states().iter().enumerate() {
                    // Halves are trajectories of their own, where there are two.
                    let late = 2 * (step - first) > n_steps - first;
                    let half = if n_trajectories > 1 { index % 2 } else { usize::from(late) };
                    halves[half].push(state.system.clone());
                }
            }
        }
        Ok(())
    }
}

/// Settings of the last student's trajectories: fewer and longer ones, at least one at each temperature.
fn longer(rounds: &RoundsConfig) -> RoundsConfig {
    let n_temperatures = rounds.temperatures.len();
    let trajectories = (rounds.trajectories / LONGER).max(n_temperatures).next_multiple_of(n_temperatures);
    RoundsConfig { trajectories, picoseconds: LONGER as f64 * rounds.picoseconds, ..rounds.clone() }
}

/// Structures of the student's trajectories at a temperature, as long as they lasted.
fn frames_at(explored: &Explored, temperature: f64) -> Vec<System> {
    let of = explored.structures.iter().zip(&explored.lifetimes).filter(|(_, life)| life.temperature == temperature);
    of.flat_map(|(frames, life)| {
        let n = frames.len() - if life.broke.is_some() { frames.len().min(super::explore::LAST) } else { 0 };
        frames[..n].iter().cloned()
    })
    .collect()
}

/// Last structure of each trajectory at a temperature that did not break.
fn lasting_frames(explored: &Explored, temperature: f64) -> Vec<System> {
    let of = explored.structures.iter().zip(&explored.lifetimes);
    of.filter(|(_, life)| life.temperature == temperature && life.broke.is_none())
        .filter_map(|(frames, _)| frames.last().cloned())
        .collect()
}

/// Drift of the energy at constant energy in eV per atom and ps: the slope of a line through it.
fn drift(student: &dyn Potential, system: &System, temperature: f64, rounds: &RoundsConfig) -> Result<Option<f64>> {
    if student.evaluate(&[system])?.virial.is_none() {
        return Ok(None);
    }
    let settings = DynamicsSettings::new(Ensemble::Nve, rounds.timestep);
    let mut dynamics = Dynamics::start(student, &[system], &Start { temperature, exact: false }, settings)?;
    let n_steps = (1000.0 * rounds.picoseconds / rounds.timestep).max(1.0) as u64;
    let interval = (n_steps / READINGS).max(1);
    let mut readings = Vec::new();
    while dynamics.step_count() < n_steps {
        if dynamics.step().is_err() {
            return Ok(None);
        }
        if dynamics.step_count().is_multiple_of(interval) {
            let now = dynamics.observables(0);
            readings.push((now.time / 1000.0, now.conserved / system.n_atoms() as f64));
        }
    }
    Ok(Some(slope(&readings)).filter(|drift| drift.is_finite()))
}

/// Slope of the line of least squares through some points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (xy, xx) = points
        .iter()
        .fold((0.0, 0.0), |(xy, xx), point| (xy + (point.0 - x) * (point.1 - y), xx + (point.0 - x).powi(2)));
    xy / xx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope() {
        let points: Vec<(f64, f64)> = (0..9).map(|k| (f64::from(k), 3.0 - 0.25 * f64::from(k))).collect();
        assert!((slope(&points) + 0.25).abs() < 1e-12);
    }

    #[test]
    fn the_last_trajectories_are_longer_and_there_is_one_at_each_temperature() {
        let rounds = RoundsConfig { trajectories: 32, picoseconds: 2.0, ..RoundsConfig::default() };
        let longer_ones = longer(&rounds);
        assert_eq!((longer_ones.trajectories, longer_ones.picoseconds), (9, 8.0));
        assert_eq!(longer(&RoundsConfig { trajectories: 1, ..rounds }).trajectories, 3);
    }
}
