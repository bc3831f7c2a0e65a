//! Shift and scale between labels and the raw outputs of a network.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Configuration section named in errors.
const KEY: &str = "normalization";

/// Shift and scale of energies, scale of forces: `(E − energy_mean) / energy_std` and `F / force_std`.
///
/// `E` is the total energy less the reference energies of the elements. The mean is taken off each *system*, however
/// many atoms it has, as in the Open Catalyst code; a mean that shall grow with the system belongs into the reference
/// energies. Forces have no mean: one would point somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalizer {
    /// Energy taken off each system in eV. Default: 0.
    #[serde(default)]
    pub energy_mean: f64,
    /// Unit of normalised energies in eV. Default: 1.
    #[serde(default = "one")]
    pub energy_std: f64,
    /// Unit of normalised forces in eV/Å. Default: 1. Gradient forces need `force_std = energy_std`.
    #[serde(default = "one")]
    pub force_std: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for Normalizer {
    fn default() -> Self {
        Self { energy_mean: 0.0, energy_std: 1.0, force_std: 1.0 }
    }
}

impl Normalizer {
    /// Normalised energy of a system from its energy less reference energies in eV.
    pub fn normalize_energy(&self, energy: f64) -> f64 {
        (energy - self.energy_mean) / self.energy_std
    }

    /// Inverse of [`Self::normalize_energy`].
    pub fn denormalize_energy(&self, normalized: f64) -> f64 {
        normalized * self.energy_std + self.energy_mean
    }

    /// Normalised force component from one in eV/Å.
    pub fn normalize_force(&self, force: f64) -> f64 {
        force / self.force_std
    }

    /// Inverse of [`Self::normalize_force`].
    pub fn denormalize_force(&self, normalized: f64) -> f64 {
        normalized * self.force_std
    }

    /// Checks that the numbers can be used; `gradient_forces` when forces are derivatives of the energy.
    ///
    /// # Errors
    /// A number that is not finite, a scale that is not positive, or two scales for an energy and its own gradient.
    pub fn validate(&self, gradient_forces: bool) -> Result<()> {
        if !self.energy_mean.is_finite() {
            return Err(setting("energy_mean", format!("is {}; it must be finite", self.energy_mean)));
        }
        for (name, value) in [("energy_std", self.energy_std), ("force_std", self.force_std)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(setting(name, format!("is {value}; it must be positive and finite")));
            }
        }
        if gradient_forces && self.energy_std != self.force_std {
            let message = format!(
                "is {}, but energy_std is {}; forces that are gradients of the energy need the same number twice",
                self.force_std, self.energy_std
            );
            return Err(setting("force_std", message));
        }
        Ok(())
    }
}

fn setting(name: &str, message: String) -> Error {
    Error::setting(format!("{KEY}.{name}"), message)
}
