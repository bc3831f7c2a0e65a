//! Settings of a relaxation and what is wrong with them.

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Optimiser and end of a relaxation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relaxation {
    /// Optimiser; default FIRE.
    pub optimizer: Optimizer,
    /// Largest force on a free atom in eV/Å at which the relaxation has converged; default 0.05. With a cell that changes, also
    /// the largest length of a row of `(W − pV)/n_atoms` in eV, as in ASE's `UnitCellFilter`.
    pub fmax: f64,
    /// Largest number of steps; default 1000.
    pub max_steps: u64,
    /// Largest step in Å: with FIRE the length of the whole step of a system, with L-BFGS the longest way of an atom (or row
    /// of the cell), as in ASE; default 0.2.
    pub max_displacement: f64,
    /// Change of the cell; default none.
    pub cell: CellChange,
    /// Pressure in eV/Å³ that the cell is relaxed under; default 0.
    pub pressure: f64,
}

/// Optimiser of a relaxation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// FIRE of E. Bitzek, P. Koskinen, F. Gähler, M. Moseler, P. Gumbsch, Phys. Rev. Lett. 97, 170201 (2006).
    #[default]
    Fire,
    /// Limited-memory BFGS without line search, D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989).
    Lbfgs,
}

/// Change of the cell in a relaxation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellChange {
    /// The cell stays.
    #[default]
    None,
    /// The volume changes, the shape stays.
    Isotropic,
    /// Volume and shape change.
    Full,
}

impl Default for Relaxation {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::default(),
            fmax: 0.05,
            max_steps: 1000,
            max_displacement: 0.2,
            cell: CellChange::default(),
            pressure: 0.0,
        }
    }
}

impl Relaxation {
    /// Checks all numbers.
    ///
    /// # Errors
    /// The first setting that is unusable, by its name.
    pub fn check(&self) -> Result<()> {
        let positive = |key: &str, value: f64, example: &str| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(Error::setting(key, format!("is {value}; give a positive number of {example}"))),
        };
        positive("fmax", self.fmax, "eV/Å, such as 0.05")?;
        positive("max_displacement", self.max_displacement, "Å, such as 0.2")?;
        if !self.pressure.is_finite() {
            return Err(Error::setting("pressure", format!("is {}; give a number of eV/Å³", self.pressure)));
        }
        match self.pressure != 0.0 && self.cell == CellChange::None {
            true => Err(Error::setting("pressure", "acts only on a cell that changes; set cell to isotropic or full")),
            false => Ok(()),
        }
    }
}
