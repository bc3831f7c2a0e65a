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
        state.drift(0.5 * self.timestep);
        self.exchange(state, rng);
        state.drift(0.5 * self.timestep);
    }

    /// Lets the bath act on the velocities of free atoms for a timestep and returns the energy in eV that it gave.
    pub fn exchange(&self, state: &mut State, rng: &mut impl Rng) -> f64 {
        let decay = (-self.timestep / self.friction_time).exp();
        let noise = (1.0 - decay * decay).sqrt();
        let before = state.kinetic_energy();
        for i in 0..state.masses.len() {
            if state.system.is_free(i) {
                let speed = state.thermal_speed(i, self.temperature);
                state.velocities[i].iter_mut().for_each(|v| *v = decay * *v + noise * speed * standard_normal(rng));
            }
        }
        state.kinetic_energy() - before
    }
}
