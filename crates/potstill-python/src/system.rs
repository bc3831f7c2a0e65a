//! Systems from what Python gives: an `ase.Atoms`, or arrays in a mapping.

use potstill_core::System;
use potstill_core::elements::symbol;
use potstill_core::system::{Mat3, Vec3};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{row, rows};
use crate::errors::wrong_system;

/// Keys of a mapping and attributes of an `ase.Atoms` that are read.
const NAMES: [&str; 4] = ["numbers", "positions", "cell", "pbc"];

/// System with a place in a batch, for messages.
///
/// # Errors
/// `ValueError` with the place for anything that is no system.
pub fn system(object: &Bound<'_, PyAny>, index: usize) -> PyResult<System> {
    let parts = match object.cast::<PyDict>() {
        Ok(mapping) => of_mapping(mapping),
        Err(_) => of_attributes(object),
    };
    parts.and_then(|parts| assemble(&parts)).map_err(|message| wrong_system(index, message))
}

/// What a system is made of, in the order of [`NAMES`]; `None` in Python is absent.
type Parts<'py> = [Option<Bound<'py, PyAny>>; 4];

fn of_mapping<'py>(mapping: &Bound<'py, PyDict>) -> Result<Parts<'py>, String> {
    let complain = |e: PyErr| e.value(mapping.py()).to_string();
    let unknown = mapping.keys().iter().map(|key| key.to_string()).find(|key| !NAMES.contains(&key.as_str()));
    if let Some(key) = unknown {
        return Err(format!("unknown key `{key}`; the keys are {}", NAMES.join(", ")));
    }
    let mut parts = Parts::default();
    for (part, name) in parts.iter_mut().zip(NAMES) {
        *part = mapping.get_item(name).map_err(complain)?.filter(|value| !value.is_none());
    }
    Ok(parts)
}

fn of_attributes<'py>(object: &Bound<'py, PyAny>) -> Result<Parts<'py>, String> {
    let mut parts = Parts::default();
    for (part, name) in parts.iter_mut().zip(NAMES) {
        let missing = |_| format!("expected an ase.Atoms or a dict of arrays, found {}", object.get_type());
        *part = Some(object.getattr(name).map_err(missing)?);
    }
    Ok(parts)
}

fn assemble([numbers, positions, cell, pbc]: &Parts<'_>) -> Result<System, String> {
    let positions = rows(positions.as_ref().ok_or("needs positions [n, 3]")?, "positions")?;
    let atomic_numbers = atomic_numbers(numbers.as_ref().ok_or("needs numbers [n]")?)?;
    let cell = cell.as_ref().map(self::cell).transpose()?.flatten();
    let pbc = match pbc {
        Some(pbc) => self::pbc(pbc)?,
        None if cell.is_some() => return Err("has a cell but no pbc; give pbc, one truth value or three".to_owned()),
        None => [false; 3],
    };
    Ok(System { atomic_numbers, positions, cell, pbc, ..System::default() })
}

fn atomic_numbers(value: &Bound<'_, PyAny>) -> Result<Vec<u8>, String> {
    let element = |(atom, &number): (usize, &i64)| {
        let known = u8::try_from(number).ok().filter(|&z| symbol(z).is_some());
        known.ok_or_else(|| format!("atom {atom} has the atomic number {number}, which no element has"))
    };
    row::<i64>(value, "numbers")?.iter().enumerate().map(element).collect()
}

/// Lattice vectors as rows; absent where all are zero, as in an `ase.Atoms` without a cell.
fn cell(value: &Bound<'_, PyAny>) -> Result<Option<Mat3>, String> {
    // An `ase.cell.Cell` has its array there, and converts slowly.
    let array = value.getattr("array").unwrap_or_else(|_| value.clone());
    let vectors = rows(&array, "cell")?;
    let cell: Mat3 =
        vectors.try_into().map_err(|v: Vec<Vec3>| format!("cell must have shape [3, 3], not [{}, 3]", v.len()))?;
    match cell.as_flattened().iter().all(|c| c.is_finite()) {
        true => Ok((cell != Mat3::default()).then_some(cell)),
        false => Err(format!("cell is {cell:?} Å; its numbers must be finite")),
    }
}

fn pbc(value: &Bound<'_, PyAny>) -> Result<[bool; 3], String> {
    if let Ok(all) = value.extract::<bool>() {
        return Ok([all; 3]);
    }
    let axes = row::<bool>(value, "pbc")?;
    axes.try_into().map_err(|v: Vec<bool>| format!("pbc must be one truth value or three, not {}", v.len()))
}
