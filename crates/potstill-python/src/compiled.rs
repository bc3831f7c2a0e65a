//! Opening and compiling a model file.

use std::path::{Path, PathBuf};

use potstill_core::model::ModelFile;
use potstill_core::{Error, Potential, Result};
use potstill_engine::{Engine, FilterChoice, Number};
use serde_json::Value;

use crate::info::info;

/// Student with what its file says.
pub struct Compiled {
    /// The student itself.
    pub potential: Box<dyn Potential>,
    /// Path as of the root of the file system, for pickles that are loaded elsewhere.
    pub path: PathBuf,
    /// See [`info`].
    pub info: Value,
}

impl Compiled {
    /// Reads and compiles a model file in `float64`, with exact filters, or `float32`, with tables, as `potstill predict` does.
    ///
    /// # Errors
    /// A file that cannot be read or is no model, a network that the engine does not run.
    pub fn open(path: &Path, dtype: &str) -> Result<Self> {
        let file = ModelFile::read(path)?;
        let model = &file.header().model;
        if !potstill_engine::runs(model) {
            let message = format!(
                "is a {}, and Python runs SchNet and PaiNN; distil a student of one of those from it, or use `potstill predict`",
                model.name()
            );
            return Err(Error::file(path, message));
        }
        let potential = match dtype {
            "float64" => boxed::<f64>(&file, FilterChoice::Exact)?,
            _ => boxed::<f32>(&file, FilterChoice::default())?,
        };
        let path = std::path::absolute(path).map_err(|e| Error::io(path, "cannot find the folder of", e))?;
        Ok(Self { potential, path, info: info(&file) })
    }
}

fn boxed<T: Number>(file: &ModelFile, filters: FilterChoice) -> Result<Box<dyn Potential>> {
    Ok(Box::new(Engine::<T>::compile(file, filters)?))
}
