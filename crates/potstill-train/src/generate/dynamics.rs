//! Snapshots of Langevin dynamics with the teacher.

use potstill_core::system::Value;
use potstill_core::{Result, System};
use potstill_simulate::{Langevin, State};
use rand::Rng;

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
    let mut state = State::thermal(origin, settings.temperature, rng)?;
    let Dynamics { temperature, timestep, friction_time, .. } = *settings;
    let bath = Langevin { temperature, timestep, friction_time };
    let mut forces = context.evaluate(&[&state.system])?.forces;
    let mut kept = Vec::new();
    let interval = settings.interval.max(1);
    let total = settings.equilibration + n * interval;
    for step in 1..=total {
        let energy;
        bath.advance(&mut state, &forces, rng);
        if !context.is_apart(&state.system) {
            return Ok(kept);
        }
        let prediction = context.evaluate(&[&state.system])?;
        (energy, forces) = (prediction.energy[0], prediction.forces);
        state.half_kick(&forces, settings.timestep);
        if step > settings.equilibration && (step - settings.equilibration).is_multiple_of(interval) {
            let mut snapshot = state.system.clone();
            snapshot.metadata.insert("time_fs".to_owned(), Value::Real(step as f64 * settings.timestep));
            snapshot.metadata.insert("temperature_K".to_owned(), Value::Real(settings.temperature));
            match context.label(snapshot, energy, forces.clone()) {
                Some(snapshot) => kept.push(snapshot),
                None => return Ok(kept),
            }
        }
    }
    Ok(kept)
}
