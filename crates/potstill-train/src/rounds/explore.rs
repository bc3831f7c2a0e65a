//! Dynamics of the student, which show what it does not know.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use potstill_core::system::Value;
use potstill_core::{Potential, Result, System};
use potstill_simulate::{Dynamics, DynamicsSettings, Ensemble, Start, StopRule};
use rayon::prelude::*;

use super::survival::Lifetime;
use crate::distill::RoundsConfig;

/// Structures that a trajectory gives, besides the last ones before it breaks.
const FRAMES: u64 = 24;
/// Structures that are kept before a trajectory breaks.
pub const LAST: usize = 3;
/// Time in fs in which the heat bath replaces velocities.
pub const FRICTION_TIME: f64 = 100.0;
/// Signs of a broken trajectory: two atoms nearer than this, in Å,
const TOO_NEAR: f64 = 0.5;
/// an atom that moves farther than this in one step, in Å,
const TOO_FAST: f64 = 0.5;
/// a temperature that many times the bath's.
const TOO_HOT: f64 = 5.0;

/// Structures that the student came by, and how its trajectories ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explored {
    /// Structures, trajectory by trajectory, without labels.
    pub structures: Vec<Vec<System>>,
    /// How far each trajectory came.
    pub lifetimes: Vec<Lifetime>,
}

/// Runs the student's Langevin dynamics from one seed after the other at each temperature, all trajectories in parallel.
///
/// An interrupted exploration has no result.
///
/// # Errors
/// What the student refuses of a seed.
pub fn explore(
    student: &dyn Potential,
    seeds: &[System],
    rounds: &RoundsConfig,
    seed: u64,
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Option<Explored>> {
    let n_done = AtomicUsize::new(0);
    let of = |index: usize| -> Result<(Vec<System>, Lifetime)> {
        // Every seed has its turn, and every temperature for each.
        let n_temperatures = rounds.temperatures.len();
        let seed_system = (index / n_temperatures) % seeds.len();
        let temperature = rounds.temperatures[index % n_temperatures];
        let mut settings =
            DynamicsSettings::new(Ensemble::Langevin { temperature, friction_time: FRICTION_TIME }, rounds.timestep);
        (settings.seed, settings.first_replica) = (seed, index as u64);
        let trajectory = Trajectory { seed_system, temperature, index };
        let found = trajectory.run(student, &seeds[seed_system], settings, rounds, interrupt)?;
        progress(n_done.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(found)
    };
    let results: Vec<Result<_>> = (0..rounds.trajectories).into_par_iter().map(of).collect();
    if interrupt.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let mut explored = Explored::default();
    for result in results {
        let (structures, lifetime) = result?;
        explored.structures.push(structures);
        explored.lifetimes.push(lifetime);
    }
    Ok(Some(explored))
}

struct Trajectory {
    seed_system: usize,
    temperature: f64,
    index: usize,
}

impl Trajectory {
    fn run(
        &self,
        student: &dyn Potential,
        origin: &System,
        settings: DynamicsSettings,
        rounds: &RoundsConfig,
        interrupt: &AtomicBool,
    ) -> Result<(Vec<System>, Lifetime)> {
        let start = Start { temperature: self.temperature, exact: false };
        let mut dynamics = Dynamics::start(student, &[origin], &start, settings)?;
        let rule = StopRule {
            temperature_above: Some(TOO_HOT * self.temperature),
            distance_below: Some(TOO_NEAR),
            move_above: Some(TOO_FAST),
        };
        let n_steps = (1000.0 * rounds.picoseconds / rounds.timestep).round().max(1.0) as u64;
        let interval = (n_steps / FRAMES).max(1);
        let often = (interval / 8).max(1);
        let (mut frames, mut last, mut broke) = (Vec::new(), Vec::new(), None);
        while dynamics.step_count() < n_steps && !interrupt.load(Ordering::Relaxed) {
            // After an error the state is the one that the student refused: the last good frames are from before.
            let stopped = match dynamics.step() {
                Ok(()) => dynamics.stopped(&rule).map(|stopped| stopped.reason.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if stopped.is_some() {
                broke = stopped;
                break;
            }
            let step = dynamics.step_count();
            if step.is_multiple_of(interval) {
                frames.push(self.frame(&dynamics, false));
                last.clear();
            } else if step.is_multiple_of(often) || (step < often && step.is_power_of_two()) {
                last.push(self.frame(&dynamics, true));
                if last.len() > LAST {
                    last.remove(0);
                }
            }
        }
        if broke.is_some() {
            frames.append(&mut last);
        }
        let picoseconds = dynamics.step_count() as f64 * rounds.timestep / 1000.0;
        let Self { seed_system, temperature, .. } = *self;
        Ok((frames, Lifetime { seed_system, temperature, picoseconds, broke }))
    }

    /// The structure now, with where it comes from.
    fn frame(&self, dynamics: &Dynamics<'_>, breaks: bool) -> System {
        let mut frame = dynamics.states()[0].system.clone();
        let name = frame.name();
        frame.metadata.remove("name");
        frame.metadata.extend([
            ("generated_by".to_owned(), Value::Text("student".to_owned())),
            ("seed_system".to_owned(), Value::Int(self.seed_system as i64)),
            ("trajectory".to_owned(), Value::Int(self.index as i64)),
            ("temperature_K".to_owned(), Value::Real(self.temperature)),
            ("time_fs".to_owned(), Value::Real(dynamics.observables(0).time)),
            ("before_it_broke".to_owned(), Value::Bool(breaks)),
        ]);
        frame.metadata.extend(name.map(|name| ("seed_name".to_owned(), Value::Text(name))));
        frame
    }
}
