//! Rows that an optimiser moves: positions and, where the cell changes, the deformation gradient.
//!
//! The cell is treated as in ASE's `UnitCellFilter`, after E. B. Tadmor, G. S. Smith, N. Bernstein, E. Kaxiras, Phys. Rev. B 59,
//! 235 (1999): positions are `F X` and lattice vectors `F h`, with those of the start in `h` and the deformation gradient `F`. The
//! optimiser moves `X` and `n F`, under the forces `Fᵀ f` and `(W − pV 1) F⁻ᵀ / n` for n atoms. All atoms move with the cell, so
//! that fixed ones keep their place in it.

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Error, Prediction, Result, System};

use super::rows::{largest, scale};
use super::settings::CellChange;
use crate::linalg::{IDENTITY, apply, determinant, inverse, product, trace, transpose};

/// System on its way, seen as rows.
#[derive(Debug)]
pub struct Coordinates {
    /// The system as it is now.
    pub system: System,
    deformation: Option<Deformation>,
}

#[derive(Debug)]
struct Deformation {
    change: CellChange,
    pressure: f64,
    cell: Mat3,
    /// Positions before the deformation, `X`.
    positions: Vec<Vec3>,
    /// Deformation gradient `F`.
    gradient: Mat3,
}

/// Forces on the rows, and how large they are.
#[derive(Debug, Default)]
pub struct Forces {
    /// Force on each row. Shape: `[n_atoms, 3]`, or `[n_atoms + 3, 3]`.
    pub rows: Vec<Vec3>,
    /// Largest force on a free atom in eV/Å.
    pub on_atoms: f64,
    /// Largest force on a row of the cell in eV; 0 where the cell stays.
    pub on_cell: f64,
    /// Largest component of the stress that is to vanish, in eV/Å³; absent where the cell stays.
    pub stress: Option<f64>,
}

impl Coordinates {
    /// Rows of a system.
    ///
    /// # Errors
    /// A cell that should change but is not periodic in three directions.
    pub fn new(system: &System, change: CellChange, pressure: f64) -> Result<Self> {
        let mut system = system.clone();
        (system.energy, system.forces, system.stress) = (None, None, None);
        system.columns.retain(|name, column| column.is_label(name));
        let deformation = match (change, system.cell) {
            (CellChange::None, _) => None,
            (_, Some(cell)) if system.pbc == [true; 3] && determinant(&cell) != 0.0 => {
                let positions = system.positions.clone();
                Some(Deformation { change, pressure, cell, positions, gradient: IDENTITY })
            }
            _ => {
                let message =
                    "has no cell that is periodic in three directions, so it cannot be relaxed; set cell to none";
                return Err(Error::Other(message.to_owned()));
            }
        };
        Ok(Self { system, deformation })
    }

    /// Forces on the rows under the forces and the virial of a prediction of this system alone.
    ///
    /// # Errors
    /// A cell that changes, and no virial.
    pub fn forces(&self, prediction: &Prediction, out: &mut Forces) -> Result<()> {
        out.rows.clone_from(&prediction.forces);
        for (i, row) in out.rows.iter_mut().enumerate() {
            if !self.system.is_free(i) {
                *row = [0.0; 3];
            }
        }
        (out.on_atoms, out.on_cell, out.stress) = (largest(&out.rows), 0.0, None);
        let Some(deformation) = &self.deformation else { return Ok(()) };
        let Some([virial, ..]) = prediction.virial.as_deref() else {
            let message =
                "direct forces have no stress that a cell could be relaxed with; use a model with gradient forces";
            return Err(Error::setting("cell", message));
        };
        let transposed = transpose(&deformation.gradient);
        out.rows.iter_mut().for_each(|row| *row = apply(&transposed, row));
        let (mut cell, stress) = deformation.forces(virial)?;
        scale(&mut cell, 1.0 / self.system.n_atoms() as f64);
        (out.on_cell, out.stress) = (largest(&cell), Some(stress));
        out.rows.extend(cell);
        Ok(())
    }

    /// Moves the rows.
    ///
    /// # Errors
    /// A cell that collapses.
    pub fn apply(&mut self, step: &[Vec3]) -> Result<()> {
        let n = self.system.n_atoms();
        let (of_atoms, of_cell) = step.split_at(n);
        let moved =
            self.deformation.as_mut().map_or(&mut self.system.positions, |deformation| &mut deformation.positions);
        for (x, dx) in moved.iter_mut().zip(of_atoms) {
            x.iter_mut().zip(dx).for_each(|(x, dx)| *x += dx);
        }
        let Some(deformation) = &mut self.deformation else { return Ok(()) };
        for (row, change) in deformation.gradient.iter_mut().zip(of_cell) {
            row.iter_mut().zip(change).for_each(|(f, df)| *f += df / n as f64);
        }
        let gradient = &deformation.gradient;
        if determinant(gradient) <= 0.0 {
            return Err(Error::Other(
                "the cell collapses; give a smaller max_displacement or another start".to_owned(),
            ));
        }
        for (x, before) in self.system.positions.iter_mut().zip(&deformation.positions) {
            *x = apply(gradient, before);
        }
        self.system.cell = Some(deformation.cell.map(|vector| apply(gradient, &vector)));
        Ok(())
    }
}

impl Deformation {
    /// Force on the gradient in eV, and the largest component of the stress in eV/Å³.
    fn forces(&self, virial: &Mat3) -> Result<(Mat3, f64)> {
        let volume = (determinant(&self.cell) * determinant(&self.gradient)).abs();
        let mut excess = *virial;
        (0..3).for_each(|i| excess[i][i] -= self.pressure * volume);
        let Some(back) = inverse(&self.gradient) else {
            return Err(Error::Other(
                "the cell collapses; give a smaller max_displacement or another start".to_owned(),
            ));
        };
        let force = product(&excess, &transpose(&back));
        let diagonal = |x: f64| IDENTITY.map(|row| row.map(|one| one * x));
        let (force, excess) = match self.change {
            CellChange::Isotropic => (diagonal(trace(&force) / 3.0), diagonal(trace(&excess) / 3.0)),
            CellChange::Full | CellChange::None => (force, excess),
        };
        let stress = excess.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs())) / volume;
        Ok((force, stress))
    }
}
