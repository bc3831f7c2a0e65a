//! Snapshots of Langevin dynamics with the teacher.

use potstill_core::system::Value;
use potstill_core::{Result, System};
use potstill_simulate::{DynamicsSettings, Ensemble, Start};
use rand::{Rng, RngExt};

use super::Context;

/// Settings of the dynamics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dynamics {
    /// Temperature in K.
    pub temperature: f64,
    /// Time step in fs.
    pub timestep: f64,
    /// Time in which the bath forgets velocities, in fs.
    pub friction_time: f64,
    /// Steps before the first snapshot.
    pub equilibration: usize,
    /// Steps between two snapshots.
    pub interval: usize,
}

/// Snapshots of one trajectory; it ends early where the structure leaves the limits, since what follows would be worse.
pub(super) fn run(
    context: &mut Context<'_>,
    origin: &System,
    settings: &Dynamics,
    n: usize,
    rng: &mut impl Rng,
) -> Result<Vec<System>> {
    let Dynamics { temperature, timestep, friction_time, .. } = *settings;
    let mut langevin = DynamicsSettings::new(Ensemble::Langevin { temperature, friction_time }, timestep);
    langevin.seed = rng.random();
    let start = Start { temperature, exact: false };
    let guard = context.guard();
    let mut kept = Vec::new();
    let mut dynamics = match potstill_simulate::Dynamics::start(&guard, &[origin], &start, langevin) {
        Ok(dynamics) => dynamics,
        Err(error) => return context.end(&guard, error).map(|()| kept),
    };
    let interval = settings.interval.max(1);
    for step in 1..=settings.equilibration + n * interval {
        if let Err(error) = dynamics.step() {
            context.end(&guard, error)?;
            break;
        }
        if step > settings.equilibration && (step - settings.equilibration).is_multiple_of(interval) {
            let mut snapshot = dynamics.states()[0].system.clone();
            snapshot.metadata.insert("time_fs".to_owned(), Value::Real(step as f64 * timestep));
            snapshot.metadata.insert("temperature_K".to_owned(), Value::Real(temperature));
            match context.label(snapshot, dynamics.prediction_of(0)) {
                Some(snapshot) => kept.push(snapshot),
                None => break,
            }
        }
    }
    Ok(kept)
}
