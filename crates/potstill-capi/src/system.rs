//! Energies, forces and stress of a whole system.

use std::ffi::c_int;

use potstill_core::System;

use crate::arrays::{atomic_numbers, read, write, wrong};
use crate::error::status;
use crate::model::{PotstillModel, opened};

/// Evaluates a system. Lengths are in Å, energies in eV.
///
/// - `numbers`: atomic numbers. Shape: `[n_atoms]`.
/// - `positions`, shape `[n_atoms, 3]`; they need not be wrapped into the cell.
/// - `cell`: lattice vectors as rows, shape `[3, 3]`; null for a molecule. `pbc`: whether the cell repeats along each (0 or 1), shape
///   `[3]`; null: along all where there is a cell.
/// - Results, each null where it is not wanted: `energy`; `atomic_energies`, shape `[n_atoms]`; `forces` in eV/Å, shape `[n_atoms, 3]`;
///   `virial`, minus the derivative of the energy with respect to strain, shape `[3, 3]`, zero for direct forces. The stress, tension
///   positive, is minus the virial over the volume.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed; arrays have the shapes above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_evaluate(
    model: *const PotstillModel,
    n_atoms: usize,
    numbers: *const i32,
    positions: *const f64,
    cell: *const f64,
    pbc: *const i32,
    energy: *mut f64,
    atomic_energies: *mut f64,
    forces: *mut f64,
    virial: *mut f64,
) -> c_int {
    status(|| {
        // SAFETY: as this function, here and below.
        let model = unsafe { opened(model) }?;
        let n_coordinates = n_atoms.checked_mul(3).ok_or_else(|| wrong("n_atoms: is too large"))?;
        let numbers = atomic_numbers(unsafe { read(numbers, n_atoms, "numbers") }?)?;
        let positions = unsafe { read(positions, n_coordinates, "positions") }?;
        let cell = match cell.is_null() {
            true => None,
            false => Some(unsafe { read(cell, 9, "cell") }?),
        };
        let repeats = match pbc.is_null() {
            true => [cell.is_some(); 3],
            false => {
                let pbc = unsafe { read(pbc, 3, "pbc") }?;
                [0, 1, 2].map(|axis| pbc[axis] != 0)
            }
        };
        if cell.is_none() && repeats.contains(&true) {
            return Err(wrong("pbc: asks for repetition, and cell is null; give the lattice vectors"));
        }
        let system = System {
            atomic_numbers: numbers,
            positions: positions.as_chunks::<3>().0.to_vec(),
            cell: cell.map(|cell| [0, 3, 6].map(|row| [cell[row], cell[row + 1], cell[row + 2]])),
            pbc: repeats,
            ..System::default()
        };
        let prediction = model.engine().evaluate(&[&system])?;
        let own_virial = prediction.virial.as_ref().map_or([[0.0; 3]; 3], |virials| virials[0]);
        for (to, n, from) in [
            (energy, 1, prediction.energy.as_slice()),
            (atomic_energies, n_atoms, &prediction.atomic_energies),
            (forces, n_coordinates, prediction.forces.as_flattened()),
            (virial, 9, own_virial.as_flattened()),
        ] {
            if let Some(to) = unsafe { write(to, n) } {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    })
}
