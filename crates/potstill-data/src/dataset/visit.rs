//! Passes over a dataset, in memory or not.

use std::borrow::Borrow;

use potstill_core::system::System;
use potstill_core::{Error, Result};

/// Systems in a fixed order that can be gone through any number of times.
///
/// What is computed by such passes needs no more memory than one system at a time, and is the same for systems in memory
/// and on disk.
pub trait Visit {
    /// Number of systems.
    fn n_systems(&self) -> usize;

    /// Calls `each` with the index and the system, in order.
    ///
    /// # Errors
    /// The first of `each`, or of reading a system; nothing is visited behind it.
    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()>;

    /// Adds the file of the system that an error is about, where that is known.
    fn locate(&self, error: Error) -> Error {
        error
    }
}

impl<S: Borrow<System>> Visit for [S] {
    fn n_systems(&self) -> usize {
        self.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        self.iter().enumerate().try_for_each(|(i, system)| each(i, system.borrow()))
    }
}

impl<S: Borrow<System>> Visit for Vec<S> {
    fn n_systems(&self) -> usize {
        self.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        self.as_slice().visit(each)
    }
}

impl<S: Borrow<System>, const N: usize> Visit for [S; N] {
    fn n_systems(&self) -> usize {
        N
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        self.as_slice().visit(each)
    }
}
