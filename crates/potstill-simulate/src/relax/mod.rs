//! Relaxation of systems to a minimum of the energy, or of the enthalpy where the cell changes.
//!
//! [`relax`] takes one system and [`relax_many`] any number of them, as batches from which those that have converged leave. The
//! optimisers see nothing of the batch: each system goes its own way, as if it were alone.
//!
//! With direct forces, which are no gradient of the energy, a relaxation looks for vanishing forces; the cell cannot change then.

mod coordinates;
mod fire;
mod lbfgs;
mod many;
mod member;
mod rows;
mod settings;

use potstill_core::{Error, Potential, Prediction, Result, System};

pub use self::many::relax_many;
pub use self::settings::{CellChange, Optimizer, Relaxation};

/// Where a relaxation is after an evaluation.
#[derive(Debug)]
pub struct RelaxStep<'a> {
    /// Index of the system among those that are relaxed.
    pub index: usize,
    /// Number of steps made; 0 for the system as given.
    pub step: u64,
    /// Energy in eV.
    pub energy: f64,
    /// Largest force on a free atom in eV/Å.
    pub largest_force: f64,
    /// Largest component in eV/Å³ by which the stress differs from the pressure; absent where the cell stays.
    pub largest_stress: Option<f64>,
    /// The system as it is now, without labels.
    pub system: &'a System,
}

/// System after its relaxation.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxed {
    /// The system, without labels.
    pub system: System,
    /// Energy, forces and virial there.
    pub prediction: Prediction,
    /// Number of steps made.
    pub steps: u64,
    /// Whether the forces became small enough before the steps ran out.
    pub converged: bool,
    /// Largest force on a free atom in eV/Å.
    pub largest_force: f64,
    /// Largest component in eV/Å³ by which the stress differs from the pressure; absent where the cell stays.
    pub largest_stress: Option<f64>,
}

/// Relaxes one system and calls `on_step` after each evaluation.
///
/// # Errors
/// An unusable setting; what the potential refuses; energies or forces that are not finite; a cell that should change but is not
/// periodic in three directions, or with direct forces, or that collapses.
pub fn relax(
    potential: &dyn Potential,
    system: &System,
    settings: &Relaxation,
    on_step: &mut dyn FnMut(&RelaxStep<'_>),
) -> Result<Relaxed> {
    let mut relaxed = relax_many(potential, &[system], settings, 0, on_step)?;
    relaxed.pop().unwrap_or_else(|| Err(Error::Other("the relaxation has no result".to_owned())))
}
