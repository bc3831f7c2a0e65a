//! A teacher's answers about the systems of a shard, in the student's units: from its cache, or asked in the step.

mod cached;
mod live;

use burn::tensor::Tensor;
use potstill_core::Result;
use potstill_core::model::Tap;

use super::kind::Kind;
use super::probes::Probes;

pub use cached::{CachedProbes, CachedTargets};
pub use live::{LiveTargets, LiveTeacher};

/// A teacher's answers about some systems, as tensors where the student is.
pub trait Targets {
    /// Energies of systems, normalised. Shape: `[n_systems, 1]`.
    ///
    /// # Errors
    /// A cache that lacks a tensor, an element without a reference energy.
    fn energy(&self) -> Result<Tensor<2>>;
    /// Energies of atoms, normalised. Shape: `[n_atoms, 1]`.
    ///
    /// # Errors
    /// As [`Targets::energy`].
    fn atomic_energies(&self) -> Result<Tensor<2>>;
    /// Forces, normalised. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`Targets::energy`]; a teacher without forces.
    fn forces(&self) -> Result<Tensor<2>>;
    /// Virials of systems, normalised, row-major. Shape: `[n_systems, 9]`.
    ///
    /// # Errors
    /// As [`Targets::energy`]; a teacher without virials.
    fn virials(&self) -> Result<Tensor<2>>;
    /// Features, in the teacher's own units. Shape: `[rows, channels]`, vectors with three components of each channel.
    ///
    /// # Errors
    /// A cache that lacks a tensor, a teacher without such features.
    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>>;
    /// Derivatives of the forces along the probes of this step, normalised. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`Targets::forces`]; answers about systems that were not displaced.
    fn force_derivatives(&self, probes: &Probes) -> Result<Tensor<2>>;
}

/// Derivative of forces on atoms that were displaced to one side, then to the other. Shape: `[2·n, 3]` to `[n, 3]`.
pub fn central_difference(forces: Tensor<2>, step: f64) -> Tensor<2> {
    let [rows, _] = forces.dims();
    let (plus, minus) = (forces.clone().narrow(0, 0, rows / 2), forces.narrow(0, rows / 2, rows / 2));
    (plus - minus).mul_scalar(0.5 / step)
}
