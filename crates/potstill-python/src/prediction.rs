//! Results as numpy arrays.

use std::ops::Range;

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use potstill_core::System;
use potstill_core::system::Mat3;
use pyo3::prelude::*;
use pyo3::types::PySlice;

/// Smallest volume in Å³ by which a virial is divided.
const SMALLEST_VOLUME: f64 = 1e-9;

/// Energies, forces, virial and stress of one system, as `Model.evaluate` returns them.
#[pyclass(frozen, module = "potstill")]
pub struct Prediction {
    /// Energy in eV.
    #[pyo3(get)]
    energy: f64,
    /// Energy of each atom in eV, summing to `energy`. Shape: `[n]`.
    #[pyo3(get)]
    energies: Py<PyAny>,
    /// Force on each atom in eV/Å. Shape: `[n, 3]`.
    #[pyo3(get)]
    forces: Py<PyAny>,
    /// Virial `-∂E/∂strain` in eV, or `None` for direct forces. Shape: `[3, 3]`.
    #[pyo3(get)]
    virial: Option<Py<PyArray2<f64>>>,
    /// Stress in eV/Å³, symmetric, tension positive; `None` for direct forces and without a three-dimensional cell. Shape:
    /// `[3, 3]`.
    #[pyo3(get)]
    stress: Option<Py<PyArray2<f64>>>,
}

#[pymethods]
impl Prediction {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let n_atoms = self.energies.bind(py).len()?;
        let has_stress = if self.stress.is_some() { "" } else { ", no stress" };
        Ok(format!("Prediction(energy={:?}, {n_atoms} atoms{has_stress})", self.energy))
    }
}

/// Prediction of each system of a batch; the arrays of atoms are views into those of the batch.
///
/// # Errors
/// None but Python's own, such as too little memory.
pub fn predictions(py: Python<'_>, systems: &[System], batch: potstill_core::Prediction) -> PyResult<Vec<Prediction>> {
    let energies = PyArray1::from_vec(py, batch.atomic_energies);
    let forces = batch.forces;
    let shape = [forces.len(), 3];
    let forces = PyArray1::from_vec(py, forces.into_flattened()).reshape(shape)?;
    let mut first = 0;
    let one = |(i, system): (usize, &System)| {
        let atoms = first..first + system.n_atoms();
        first = atoms.end;
        let virial = batch.virial.as_ref().map(|virials| virials[i]);
        let stress = virial.and_then(|virial| stress(virial, system));
        Ok(Prediction {
            energy: batch.energy[i],
            energies: part(energies.as_any(), &atoms)?,
            forces: part(forces.as_any(), &atoms)?,
            virial: virial.map(|virial| matrix(py, virial)),
            stress: stress.map(|stress| matrix(py, stress)),
        })
    };
    systems.iter().enumerate().map(one).collect()
}

/// Rows of an array, which is its own only part in a batch of one system.
fn part(array: &Bound<'_, PyAny>, atoms: &Range<usize>) -> PyResult<Py<PyAny>> {
    if atoms.len() == array.len()? {
        return Ok(array.clone().unbind());
    }
    let rows = PySlice::new(array.py(), atoms.start as isize, atoms.end as isize, 1);
    Ok(array.get_item(rows)?.unbind())
}

/// Stress from the virial, with the rounding of its antisymmetric part taken away; none without a volume.
fn stress(virial: Mat3, system: &System) -> Option<Mat3> {
    let volume = system.volume().filter(|&v| v > SMALLEST_VOLUME)?;
    let mean = |i: usize, k: usize| -0.5 * (virial[i][k] + virial[k][i]) / volume;
    Some(std::array::from_fn(|i| std::array::from_fn(|k| mean(i, k))))
}

fn matrix(py: Python<'_>, matrix: Mat3) -> Py<PyArray2<f64>> {
    PyArray2::from_owned_array(py, numpy::ndarray::arr2(&matrix)).unbind()
}
