//! Stochastic velocity rescaling of G. Bussi, D. Donadio and M. Parrinello, J. Chem. Phys. 126, 014101 (2007).

use rand::Rng;

use super::start::Degrees;
use crate::constants::BOLTZMANN;
use crate::random::{standard_normal, sum_of_squares};
use crate::state::State;

/// Thermostat that rescales all velocities, so that the kinetic energy has its canonical distribution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescaling {
    /// Temperature in K.
    pub temperature: f64,
    /// Relaxation time in fs.
    pub time: f64,
}

impl Rescaling {
    /// Acts for a time in fs and returns the energy in eV that it gave.
    ///
    /// Equation A7 of the paper, and A8 for the sign. A drift that rounding has made is removed first: no force would ever slow
    /// it down, and rescaling would make it grow.
    pub fn exchange(&self, state: &mut State, degrees: Degrees, time: f64, rng: &mut impl Rng) -> f64 {
        let before = state.kinetic_energy();
        if degrees.rests {
            state.remove_drift();
        }
        let kinetic = state.kinetic_energy();
        if kinetic <= 0.0 || degrees.n == 0 {
            return kinetic - before;
        }
        let decay = (-time / self.time).exp();
        // Mean kinetic energy of one degree of freedom, as a fraction of all that there is.
        let share = (1.0 - decay) * 0.5 * BOLTZMANN * self.temperature / kinetic;
        let one = standard_normal(rng);
        let others = sum_of_squares(degrees.n - 1, rng);
        let square = decay + share * (one * one + others) + 2.0 * one * (decay * share).sqrt();
        // `square` is (√decay + one √share)² + share · others: never negative but by rounding.
        let size = square.max(0.0).sqrt();
        let is_forward = decay.sqrt() + one * share.sqrt() >= 0.0;
        state.scale_velocities(if is_forward { size } else { -size });
        state.kinetic_energy() - before
    }
}
