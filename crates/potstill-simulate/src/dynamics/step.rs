//! One step of a replica: all before the evaluation of forces, and all after it.

use potstill_core::Prediction;
use potstill_core::system::{Mat3, Vec3};

use super::barostat::Barostat;
use super::csvr::Rescaling;
use super::settings::{DynamicsSettings, Ensemble};
use super::{Move, Replica};
use crate::constants::BOLTZMANN;
use crate::integrators::Langevin;
use crate::state::State;

/// Forces and virial of one replica.
#[derive(Clone, Copy)]
pub(super) struct Pull<'a> {
    /// Force on each atom in eV/Å. Shape: `[n_atoms, 3]`.
    pub forces: &'a [Vec3],
    /// Virial in eV; zero where there is none.
    pub virial: Mat3,
}

impl<'a> Pull<'a> {
    /// That of one replica of a batch, whose atoms begin and end there.
    pub fn of(prediction: &'a Prediction, replica: usize, offsets: &[usize]) -> Self {
        let virial = prediction.virial.as_ref().map_or([[0.0; 3]; 3], |virials| virials[replica]);
        Self { forces: &prediction.forces[offsets[replica]..offsets[replica + 1]], virial }
    }
}

impl Replica {
    /// Moves positions, and the cell, to where forces are needed next.
    pub fn advance(&mut self, state: &mut State, pull: Pull<'_>, settings: &DynamicsSettings) -> Result<(), String> {
        let timestep = settings.timestep;
        self.rescale_velocities(state, settings);
        let strain = match barostat(settings) {
            Some(barostat) => {
                let drive = barostat.drive(state, &pull.virial, self.degrees.rests);
                Some(Move { drive, strain: barostat.draw(&drive, &mut self.rng)? })
            }
            None => None,
        };
        state.half_kick(pull.forces, timestep);
        if let Ensemble::Nve | Ensemble::Csvr { .. } = settings.ensemble {
            state.drift(timestep);
            return Ok(());
        }
        state.drift(0.5 * timestep);
        if let Ensemble::Langevin { temperature, friction_time } = settings.ensemble {
            self.received += Langevin { temperature, timestep, friction_time }.exchange(state, &mut self.rng);
        }
        if let (Some(barostat), Some(now)) = (barostat(settings), &strain) {
            barostat.apply(state, &now.strain);
        }
        state.drift(0.5 * timestep);
        self.strain = strain;
        Ok(())
    }

    /// Finishes the step with the forces at the new positions.
    pub fn finish(&mut self, state: &mut State, pull: Pull<'_>, settings: &DynamicsSettings) {
        state.half_kick(pull.forces, settings.timestep);
        if let (Some(barostat), Some(Move { drive, strain })) = (barostat(settings), self.strain.take()) {
            let after = barostat.drive(state, &pull.virial, self.degrees.rests);
            self.received -= barostat.irreversibility(&drive, &after, &strain);
        }
        self.rescale_velocities(state, settings);
    }

    fn rescale_velocities(&mut self, state: &mut State, settings: &DynamicsSettings) {
        let (Ensemble::Csvr { temperature, time } | Ensemble::Npt { temperature, thermostat_time: time, .. }) =
            settings.ensemble
        else {
            return;
        };
        let bath = Rescaling { temperature, time };
        self.received += bath.exchange(state, self.degrees, 0.5 * settings.timestep, &mut self.rng);
    }
}

/// Barostat of the settings, if they have one.
pub(super) fn barostat(settings: &DynamicsSettings) -> Option<Barostat> {
    let Ensemble::Npt { temperature, pressure, barostat_time, compressibility, coupling, .. } = settings.ensemble
    else {
        return None;
    };
    let (kt, inertia) = (BOLTZMANN * temperature, barostat_time / compressibility);
    Some(Barostat { pressure, inertia, coupling, kt, timestep: settings.timestep })
}
