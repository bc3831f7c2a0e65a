//! Weights of a model file by name.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::{Error, Result};

/// Weights of a model file that have not been taken yet.
#[derive(Debug)]
pub struct Weights<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    left: BTreeSet<String>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(path: &'a Path, tensors: SafeTensors<'a>) -> Self {
        let left = tensors.names().into_iter().map(str::to_owned).collect();
        Self { path, tensors, left }
    }

    /// Takes a weight, widened to f64, row-major.
    ///
    /// # Errors
    /// It is missing, of another shape, of numbers that are neither f32 nor f64, or not finite.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let fail = |message: String| Error::file(self.path, format!("weight {name}{message}"));
        let Ok(view) = self.tensors.tensor(name) else {
            return Err(fail(" is missing; the file does not fit its header".to_owned()));
        };
        if view.shape() != shape {
            return Err(fail(format!(": expected shape {shape:?}, found {:?}", view.shape())));
        }
        let values: Vec<f64> = match view.dtype() {
            Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            other => return Err(fail(format!(": {other:?} numbers; expected F32 or F64"))),
        };
        if values.iter().any(|v| !v.is_finite()) {
            return Err(fail(" is not finite; use an older checkpoint".to_owned()));
        }
        self.left.remove(name);
        Ok(values)
    }

    /// Checks that every weight of the file was taken.
    ///
    /// # Errors
    /// The first that was not.
    pub fn finish(self) -> Result<()> {
        match self.left.first() {
            Some(name) => {
                Err(Error::file(self.path, format!("weight {name} is not part of the network in the header")))
            }
            None => Ok(()),
        }
    }
}
