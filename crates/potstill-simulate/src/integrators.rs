//! Time steps at constant energy and in a heat bath.

use potstill_core::system::Vec3;
use potstill_core::{Potential, Prediction, Result};
use rand::Rng;

use crate::random::standard_normal;
use crate::state::State;

/// Makes one step at constant energy (velocity Verlet) of `timestep` fs and returns the prediction after it.
///
/// `forces` are those of the state before the step in eV/Å.
///
/// # Errors
/// What the potential refuses.
pub fn velocity_verlet(
    state: &mut State,
    forces: &[Vec3],
    timestep: f64,
    potential: &dyn Potential,
) -> Result<Prediction> {
    state.half_kick(forces, timestep);
    state.drift(timestep);
    let prediction = potential.evaluate(&[&state.system])?;
    state.half_kick(&prediction.forces, timestep);
    Ok(prediction)
}

/// Langevin dynamics by the BAOAB splitting of B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013, 34.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Langevin {
    /// Temperature of the bath in K.
    pub temperature: f64,
    /// Timestep in fs.
    pub timestep: f64,
    /// Time in fs after which the bath has replaced velocities by a factor of e.
    pub friction_time: f64,
}

impl Langevin {
    /// Does all of a step that precedes the evaluation of forces: half a kick, half a drift, the bath, half a drift.
    ///
    /// Evaluate forces at the new positions, then finish the step with [`State::half_kick`].
    pub fn advance(&self, state: &mut State, forces: &[Vec3], rng: &mut impl Rng) {
        state.half_kick(forces, self.timestep);
        let decay = (-self.timestep / self.friction_time).exp();
        let noise = (1.0 - decay * decay).sqrt();
        for i in 0..state.masses.len() {
            if !state.system.is_free(i) {
                continue;
            }
            let speed = state.thermal_speed(i, self.temperature);
            for k in 0..3 {
                let (x, v) = (&mut state.system.positions[i][k], &mut state.velocities[i][k]);
                *x += 0.5 * self.timestep * *v;
                *v = decay * *v + noise * speed * standard_normal(rng);
                *x += 0.5 * self.timestep * *v;
            }
        }
    }
}
