//! Numbers that describe a moment of a trajectory.

use potstill_core::system::Mat3;
use serde::{Deserialize, Serialize};

use super::start::Degrees;
use super::{Dynamics, step};
use crate::linalg::{determinant, trace};
use crate::state::State;

/// Numbers that describe a replica after a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observables {
    /// Number of steps since the start.
    pub step: u64,
    /// Time since the start in fs.
    pub time: f64,
    /// Potential energy in eV.
    pub potential: f64,
    /// Kinetic energy in eV.
    pub kinetic: f64,
    /// Temperature in K: twice the kinetic energy by Boltzmann's constant and the degrees of freedom.
    pub temperature: f64,
    /// Pressure in eV/Å³, `N kT/V + tr W / 3V` with the number of free atoms N, the temperature above and the virial W; absent
    /// without a virial (direct forces) or a cell that is periodic in three directions.
    pub pressure: Option<f64>,
    /// Volume of the cell in Å³, absent without a cell that is periodic in three directions.
    pub volume: Option<f64>,
    /// Quantity in eV that exact dynamics would conserve: the total energy, less what baths and barostat gave.
    pub conserved: f64,
}

impl Dynamics<'_> {
    /// Numbers that describe a replica now.
    ///
    /// # Panics
    /// If there is no such replica.
    pub fn observables(&self, replica: usize) -> Observables {
        let (state, book) = (&self.states[replica], &self.replicas[replica]);
        let (potential, kinetic) = (self.prediction.energy[replica], state.kinetic_energy());
        let barostat = step::barostat(&self.settings);
        let of_cell = barostat.map_or(0.0, |barostat| barostat.potential(state, book.degrees.rests));
        let virial = self.prediction.virial.as_ref().map(|virials| &virials[replica]);
        Observables {
            step: self.step,
            time: self.step as f64 * self.settings.timestep,
            potential,
            kinetic,
            temperature: state.temperature(book.degrees.n),
            pressure: virial.and_then(|virial| pressure(state, book.degrees, virial)),
            volume: periodic_volume(state),
            conserved: potential + kinetic + of_cell - book.received,
        }
    }
}

/// Volume in Å³ of a cell that is periodic in three directions.
fn periodic_volume(state: &State) -> Option<f64> {
    let cell = state.system.cell.as_ref().filter(|_| state.system.pbc == [true; 3])?;
    Some(determinant(cell).abs()).filter(|volume| *volume > 0.0)
}

/// Pressure in eV/Å³ of a state with this virial.
fn pressure(state: &State, degrees: Degrees, virial: &Mat3) -> Option<f64> {
    let volume = periodic_volume(state)?;
    let kinetic_part = match degrees.n {
        0 => 0.0,
        n => 2.0 * state.kinetic_energy() * state.n_free() as f64 / n as f64,
    };
    Some((kinetic_part + trace(virial) / 3.0) / volume)
}
