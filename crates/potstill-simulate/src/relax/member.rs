//! One system of a batch that is relaxed.

use potstill_core::system::Vec3;
use potstill_core::{Error, Prediction, Result, System};

use super::coordinates::{Coordinates, Forces};
use super::fire::Fire;
use super::lbfgs::Lbfgs;
use super::settings::{Optimizer, Relaxation};

/// System on its way to a minimum.
pub struct Member {
    /// Index of the system among those that were asked for.
    pub index: usize,
    /// The system as it is now.
    pub coordinates: Coordinates,
    /// Forces of the last evaluation.
    pub forces: Forces,
    /// Number of steps made.
    pub steps: u64,
    search: Search,
    /// Memory of the next step.
    step: Vec<Vec3>,
}

enum Search {
    Fire(Fire),
    Lbfgs(Lbfgs),
}

impl Member {
    /// System before its first step.
    ///
    /// # Errors
    /// No atoms; a cell that should change but cannot.
    pub fn new(index: usize, system: &System, settings: &Relaxation) -> Result<Self> {
        let fail = |error: Error| Error::System { index, name: system.name(), message: error.to_string() };
        if system.n_atoms() == 0 {
            return Err(fail(Error::Other("has no atoms, so nothing can relax".to_owned())));
        }
        let coordinates = Coordinates::new(system, settings.cell, settings.pressure).map_err(fail)?;
        let search = match settings.optimizer {
            Optimizer::Fire => Search::Fire(Fire::new()),
            Optimizer::Lbfgs => Search::Lbfgs(Lbfgs::new()),
        };
        Ok(Self { index, coordinates, forces: Forces::default(), steps: 0, search, step: Vec::new() })
    }

    /// Takes a prediction of this system in.
    ///
    /// # Errors
    /// A cell that changes, and no virial.
    pub fn judge(&mut self, prediction: &Prediction) -> Result<()> {
        self.coordinates.forces(prediction, &mut self.forces)
    }

    /// Whether forces, and those on the cell, are small enough.
    pub fn has_converged(&self, fmax: f64) -> bool {
        self.forces.on_atoms <= fmax && self.forces.on_cell <= fmax
    }

    /// Makes a step.
    ///
    /// # Errors
    /// A cell that collapses.
    pub fn advance(&mut self, limit: f64) -> Result<()> {
        match &mut self.search {
            Search::Fire(fire) => fire.step(&self.forces.rows, limit, &mut self.step),
            Search::Lbfgs(lbfgs) => lbfgs.step(&self.forces.rows, limit, &mut self.step),
        }
        self.steps += 1;
        self.coordinates.apply(&self.step)
    }
}
