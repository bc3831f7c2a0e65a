//! A student, compiled for this processor.

use std::path::PathBuf;

use potstill_core::elements::symbol_or_number;
use potstill_core::{Error, System};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::compiled::Compiled;
use crate::errors::exception;
use crate::prediction::{Prediction, predictions};
use crate::system::system;
use crate::threads::pool;

/// SchNet or PaiNN, compiled for this processor.
///
/// A model never changes, and may be used from several threads at once; the interpreter's lock is released while it computes.
/// `copy` and `deepcopy` give the model itself. A pickle holds the path and the hash of the file, which must be there, and
/// unchanged, where it is loaded.
///
/// Parameters
/// ----------
/// path : str or os.PathLike
///     Model file that `potstill train`, `distill` or `import` wrote.
/// dtype : {"float32", "float64"}
///     Precision of the network. Energies are summed in double precision in either. `"float64"` evaluates the filters of edges
///     themselves, `"float32"` takes them from tables that are right to 1e-6.
/// threads : int, optional
///     Number of threads; default: one for each core. Models with the same number share their threads.
///
/// Raises
/// ------
/// FileNotFoundError, PermissionError, OSError
///     A file that cannot be read.
/// ValueError
///     A file that is no model, a GemNet-OC, an unknown `dtype`, zero threads.
///
/// Examples
/// --------
/// >>> model = potstill.Model("student.safetensors")
/// >>> model.evaluate(atoms).forces.shape
/// (15, 3)
#[pyclass(frozen, module = "potstill")]
pub struct Model {
    compiled: Compiled,
    dtype: &'static str,
    threads: Option<usize>,
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (path, dtype = "float32", threads = None))]
    fn new(path: PathBuf, dtype: &str, threads: Option<i64>) -> PyResult<Self> {
        let threads = threads.map(n_threads).transpose()?;
        let dtype = match dtype {
            "float32" => "float32",
            "float64" => "float64",
            _ => return Err(PyValueError::new_err(format!("dtype `{dtype}`: must be float32 or float64"))),
        };
        let compiled = Compiled::open(&path, dtype).map_err(|e| exception(&e))?;
        Ok(Self { compiled, dtype, threads })
    }

    /// Energy, forces and stress of one system.
    ///
    /// Parameters
    /// ----------
    /// atoms : ase.Atoms or dict, optional
    ///     System, or a dictionary with the keys below.
    /// numbers : array of int, shape (n,)
    ///     Atomic numbers, where `atoms` is absent.
    /// positions : array of float, shape (n, 3)
    ///     Positions in Å; they need not be wrapped into the cell.
    /// cell : array of float, shape (3, 3), optional
    ///     Lattice vectors in Å as rows.
    /// pbc : bool or three of them
    ///     Whether the system repeats along each lattice vector; must be given with a cell.
    ///
    /// Returns
    /// -------
    /// Prediction
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     Wrong shapes, an element that the model was not trained on, positions that are not finite, atoms at one place, a cell of
    ///     zero volume with `pbc`.
    /// PotstillError
    ///     Too little memory.
    #[pyo3(signature = (atoms = None, **arrays), text_signature = "($self, atoms=None, *, numbers=None, positions=None, cell=None, pbc=None)")]
    fn evaluate(
        &self,
        py: Python<'_>,
        atoms: Option<&Bound<'_, PyAny>>,
        arrays: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Prediction> {
        let given = match (atoms, arrays) {
            (Some(atoms), None) => atoms,
            (None, Some(arrays)) => arrays.as_any(),
            (None, None) => return Err(PyTypeError::new_err("evaluate() needs atoms, or numbers and positions")),
            (Some(_), Some(_)) => {
                return Err(PyTypeError::new_err("evaluate() takes either atoms or arrays, not both"));
            }
        };
        let mut results = self.batch(py, vec![system(given, 0)?])?;
        results.pop().ok_or_else(|| exception(&Error::Other("the engine gave no result".to_owned())))
    }

    /// Energies, forces and stresses of many systems as one batch, which uses all threads even where each system is small.
    ///
    /// Parameters
    /// ----------
    /// systems : iterable of ase.Atoms or dict
    ///     Systems as for `evaluate`. All of them are in memory at once: some thousand atoms at a time are fastest.
    ///
    /// Returns
    /// -------
    /// list of Prediction
    ///     Results in the same order. Their arrays of atoms are views into those of the batch.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     As for `evaluate`; names the system.
    fn evaluate_many(&self, py: Python<'_>, systems: &Bound<'_, PyAny>) -> PyResult<Vec<Prediction>> {
        let given = systems.try_iter()?.enumerate();
        let systems = given.map(|(i, given)| system(&given?, i)).collect::<PyResult<Vec<System>>>()?;
        self.batch(py, systems)
    }

    /// Largest distance in Å at which two atoms see each other.
    #[getter]
    fn cutoff(&self) -> f64 {
        self.compiled.potential.cutoff()
    }

    /// Chemical symbols of the elements that the model was trained on, by atomic number.
    #[getter]
    fn elements(&self) -> Vec<String> {
        self.compiled.potential.elements().iter().map(|&z| symbol_or_number(z)).collect()
    }

    /// Source of the forces: `"gradient"` of the energy, or `"direct"`, with which dynamics do not conserve energy.
    #[getter]
    fn forces(&self) -> Option<&str> {
        self.compiled.info["forces"].as_str()
    }

    /// What the model file says: `architecture`, `forces`, `elements`, `n_parameters`, `settings`, `scale`, `units`, `training`
    /// (provenance), `format_version`, `path`, `hash`.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.compiled.info.to_string(),))
    }

    /// Precision of the network, `"float32"` or `"float64"`.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.dtype
    }

    /// Number of threads, or `None` for one for each core.
    #[getter]
    fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Path of the model file.
    #[getter]
    fn path(&self) -> String {
        self.compiled.path.display().to_string()
    }

    fn __repr__(&self) -> String {
        let architecture = self.compiled.info["architecture"].as_str().unwrap_or_default();
        let forces = self.compiled.info["forces"].as_str().unwrap_or_default();
        format!(
            "Model({:?}, {architecture}, {forces} forces, cutoff {} Å, {}, {})",
            self.compiled.path.display().to_string(),
            self.compiled.potential.cutoff(),
            self.elements().join(" "),
            self.dtype
        )
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Pickle<'py>> {
        let model = slf.get();
        let load = slf.get_type().getattr("_load")?;
        let hash = model.compiled.info["hash"].as_str().unwrap_or_default().to_owned();
        Ok((load, (model.compiled.path.clone(), model.dtype, model.threads, hash)))
    }

    /// Opens the model of a pickle.
    #[classmethod]
    fn _load(
        _class: &Bound<'_, PyType>,
        path: PathBuf,
        dtype: &str,
        threads: Option<i64>,
        hash: &str,
    ) -> PyResult<Self> {
        let model = Self::new(path, dtype, threads)?;
        if model.compiled.info["hash"] != hash {
            let message =
                "is another model than the one that was pickled; put that file back, or make the object again";
            return Err(exception(&Error::file(&model.compiled.path, message)));
        }
        Ok(model)
    }
}

/// Function that makes a pickled object, and its arguments.
type Pickle<'py> = (Bound<'py, PyAny>, (PathBuf, &'static str, Option<usize>, String));

impl Model {
    fn batch(&self, py: Python<'_>, systems: Vec<System>) -> PyResult<Vec<Prediction>> {
        if systems.is_empty() {
            return Ok(Vec::new());
        }
        let pool = pool(self.threads).map_err(|e| exception(&e))?;
        let borrowed: Vec<&System> = systems.iter().collect();
        let result = py.detach(|| pool.install(|| self.compiled.potential.evaluate(&borrowed)));
        predictions(py, &systems, result.map_err(|e| exception(&e))?)
    }
}

fn n_threads(given: i64) -> PyResult<usize> {
    let positive = usize::try_from(given).ok().filter(|n| (1..=1024).contains(n));
    positive.ok_or_else(|| PyValueError::new_err(format!("threads is {given}: must be from 1 to 1024, or None")))
}
