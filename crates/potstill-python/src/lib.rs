//! Python module of potstill: a student on numpy arrays.
//!
//! The wheel has this module as `potstill._potstill`; the package around it, with the ASE calculator and the live teacher, is
//! in `python/potstill`. Nothing is computed here: numpy arrays become a [`System`](potstill_core::System), the engine evaluates
//! it without the interpreter's lock, and its arrays become numpy's without a copy.
//!
//! | file | contents |
//! |---|---|
//! | `model` | `Model`: the student as Python has it |
//! | `compiled` | opening and compiling a model file |
//! | `info` | the model's header as a dictionary |
//! | `system` | an `ase.Atoms` or arrays to a system |
//! | `arrays` | numpy arrays of a wanted shape and type |
//! | `prediction` | `Prediction`: energies, forces, virial and stress |
//! | `threads` | pools of threads that survive a fork |
//! | `errors` | errors as Python's exceptions |
//!
//! **The wheel.** `pyproject.toml` lies in the repository's root, so that `pip install .`, and pip with the repository's address,
//! work as they stand and the source distribution holds the crates that this one needs. `python/build.py` makes the wheel that
//! ships, which has the `potstill` program in it as well.
//!
//! **Allocator.** The system's: the engine keeps its buffers between calls, and a program that loads a module has chosen already.

mod arrays;
mod compiled;
mod errors;
mod info;
mod model;
mod prediction;
mod system;
mod threads;

use pyo3::prelude::*;

/// Compiled part of potstill.
#[pymodule]
mod _potstill {
    #[pymodule_export]
    use crate::errors::PotstillError;
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::prediction::Prediction;

    /// Version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
