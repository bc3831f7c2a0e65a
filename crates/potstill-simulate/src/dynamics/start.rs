//! What a replica starts with: checks, velocities, degrees of freedom.

use potstill_core::{Error, Prediction, Result, System};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::settings::{DynamicsSettings, Ensemble, check_temperature};
use crate::constants::BOLTZMANN;
use crate::linalg::determinant;
use crate::state::State;

/// Velocities that dynamics start with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Temperature in K of the Maxwell–Boltzmann distribution that velocities are drawn from.
    pub temperature: f64,
    /// Whether the velocities are then rescaled, so that the first temperature is exactly this one.
    #[serde(default)]
    pub exact: bool,
}

impl Start {
    /// Checks the temperature.
    ///
    /// # Errors
    /// A temperature that is negative or not finite.
    pub fn check(&self) -> Result<()> {
        check_temperature(self.temperature)
    }
}

/// Motions of the whole that stay as they are, so that they have no temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Degrees {
    /// Degrees of freedom of the kinetic energy.
    pub n: usize,
    /// Whether the momentum is and stays zero.
    pub rests: bool,
}

/// Random numbers of a replica.
pub(super) fn random_stream(settings: &DynamicsSettings, replica: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    rng.set_stream(settings.first_replica.wrapping_add(replica as u64));
    rng
}

/// Forgets what a file said of a system that is about to change: labels and quantities computed for each atom.
pub(super) fn forget_labels(system: &mut System) {
    (system.energy, system.forces, system.stress) = (None, None, None);
    system.columns.retain(|name, column| column.is_label(name));
}

/// Subtracts drift and rotation where the settings ask for it, and counts the degrees of freedom that are left.
///
/// A motion is counted as gone where it was subtracted and stays away: forces must be gradients of an energy, no atom may be
/// fixed, and no bath may kick single atoms. A barostat changes the angular momentum of what it scales.
pub(super) fn settle(state: &mut State, settings: &DynamicsSettings, has_gradient_forces: bool) -> Degrees {
    let n = 3 * state.n_free();
    let is_kept = has_gradient_forces && !matches!(settings.ensemble, Ensemble::Langevin { .. });
    let (mut n_gone, mut rests) = (0, false);
    if settings.remove_drift && !state.has_fixed_atoms() {
        state.remove_drift();
        rests = is_kept && n > 0;
        n_gone += 3;
    }
    if settings.remove_rotation {
        n_gone += state.remove_rotation();
    }
    Degrees { n: if is_kept { n.saturating_sub(n_gone) } else { n }, rests }
}

/// Rescales velocities to exactly a temperature in K; a state at rest stays so.
pub(super) fn rescale(state: &mut State, degrees: Degrees, temperature: f64) {
    let kinetic = state.kinetic_energy();
    if kinetic > 0.0 {
        state.scale_velocities((0.5 * degrees.n as f64 * BOLTZMANN * temperature / kinetic).sqrt());
    }
}

/// Checks a state before anything is evaluated.
pub(super) fn check_state(replica: usize, state: &State, settings: &DynamicsSettings) -> Result<()> {
    let complain = |message: String| Err(Error::System { index: replica, name: state.system.name(), message });
    let n = state.system.n_atoms();
    let n_fixed = state.system.fixed.as_ref().map_or(n, Vec::len);
    if [state.system.positions.len(), state.velocities.len(), state.masses.len(), n_fixed] != [n; 4] {
        return complain("positions, velocities, masses or fixed flags are of another number of atoms".to_owned());
    }
    if n == 0 {
        return complain("has no atoms, so nothing can move".to_owned());
    }
    if !state.velocities.iter().flatten().all(|v| v.is_finite()) {
        return complain("a velocity is not finite; give velocities in Å/fs".to_owned());
    }
    if let Some(mass) = state.masses.iter().find(|m| !(m.is_finite() && **m > 0.0)) {
        return complain(format!("an atom has a mass of {mass} u; it must be positive"));
    }
    if let Ensemble::Npt { .. } = settings.ensemble {
        if state.system.pbc != [true; 3] || state.system.cell.is_none_or(|cell| determinant(&cell) == 0.0) {
            return complain("npt needs a cell that is periodic in three directions; use csvr or langevin".to_owned());
        }
        if state.has_fixed_atoms() {
            return complain("npt scales all positions, but some atoms are fixed; free them or use csvr".to_owned());
        }
    }
    Ok(())
}

/// Refuses ensembles that rest on forces being gradients where they are not.
pub(super) fn check_forces(prediction: &Prediction, settings: &DynamicsSettings) -> Result<()> {
    let reason = match settings.ensemble {
        _ if prediction.virial.is_some() => return Ok(()),
        Ensemble::Nve if settings.accept_direct_forces => return Ok(()),
        Ensemble::Nve => {
            "direct forces are no gradient of an energy, so that no energy is conserved and nve would heat up"
        }
        Ensemble::Npt { .. } => {
            "direct forces are no gradient of an energy, so that there is no virial and no pressure"
        }
        Ensemble::Langevin { .. } | Ensemble::Csvr { .. } => return Ok(()),
    };
    Err(Error::setting(
        "ensemble",
        format!("{reason}; use langevin or csvr, a model with gradient forces, or a program that gives stresses"),
    ))
}

/// Refuses a global thermostat for a state that it cannot act on.
pub(super) fn check_thermostat(
    replica: usize,
    state: &State,
    degrees: Degrees,
    settings: &DynamicsSettings,
) -> Result<()> {
    let (Ensemble::Csvr { temperature, .. } | Ensemble::Npt { temperature, .. }) = settings.ensemble else {
        return Ok(());
    };
    let complaint = match (degrees.n, state.kinetic_energy()) {
        (0, _) => {
            "has no degree of freedom besides its motion as a whole, so that no thermostat can act; use nve or langevin"
        }
        (_, 0.0) if temperature > 0.0 => "is at rest, and velocities that are zero cannot be rescaled; draw them first",
        _ => return Ok(()),
    };
    Err(Error::System { index: replica, name: state.system.name(), message: complaint.to_owned() })
}
