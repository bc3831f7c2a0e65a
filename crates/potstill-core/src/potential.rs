//! Interface of every potential: a network, a compiled student, a file of labels.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::system::{Mat3, System, Vec3};

/// Energies and forces of a batch of systems, atoms concatenated in batch order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Energy of each system in eV. Shape: `[n_systems]`.
    pub energy: Vec<f64>,
    /// Energy of each atom in eV, summing to `energy`. Shape: `[n_atoms]`.
    pub atomic_energies: Vec<f64>,
    /// Force on each atom in eV/Å. Shape: `[n_atoms, 3]`.
    pub forces: Vec<Vec3>,
    /// Virial `-∂E/∂strain` of each system in eV, only for forces that are gradients. Shape: `[n_systems, 3, 3]`.
    pub virial: Option<Vec<Mat3>>,
}

impl Prediction {
    /// Stress in eV/Å³ of system `i` of the batch, tension positive; none without a virial, or where the system does not repeat.
    pub fn stress(&self, i: usize, system: &System) -> Option<Mat3> {
        let virial = self.virial.as_ref()?.get(i)?;
        let volume = system.volume().filter(|&volume| system.is_periodic() && volume > 0.0)?;
        Some(virial.map(|row| row.map(|v| -v / volume)))
    }
}

/// Map from systems to energies and forces.
pub trait Potential: Send + Sync {
    /// Largest distance in Å at which two atoms see each other.
    fn cutoff(&self) -> f64;

    /// Atomic numbers that the potential was made for, ascending.
    fn elements(&self) -> &[u8];

    /// Energies and forces of `systems` as one batch; the result does not depend on how systems are batched.
    ///
    /// # Errors
    /// Names the first system that holds an unknown element, a non-finite position or an unusable cell.
    fn evaluate(&self, systems: &[&System]) -> Result<Prediction>;
}
