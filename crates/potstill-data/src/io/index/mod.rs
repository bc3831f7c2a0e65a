//! Index of a file: places and sizes of its systems, for reading them in any order.
//!
//! | file | what it holds |
//! |---|---|
//! | `bytes` | the index and its bytes on disk |
//! | `place` | the file that holds an index, and when it is made again |

mod bytes;
mod place;

use std::path::Path;

pub use bytes::Index;
pub use place::IndexPlace;
use potstill_core::{Error, Result, System};

/// Systems that are read at a time while an index is made, between two reports of progress.
pub(crate) const BLOCK: usize = 256;

/// A file with its index, from which any system can be read.
pub struct Stored {
    /// Places and sizes of the systems.
    pub index: Index,
    /// Reader of single systems.
    pub source: Box<dyn RandomAccess>,
}

/// Reader of single systems of a file, in any order and from several threads.
pub trait RandomAccess: Send + Sync {
    /// System `i` at its place in the index.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such system or it is damaged.
    fn get(&self, i: usize, index: &Index) -> Result<System>;
}

/// Number of atoms as an index holds it.
pub(crate) fn narrow(path: &Path, n_atoms: usize) -> Result<u32> {
    u32::try_from(n_atoms)
        .map_err(|_| Error::file(path, format!("holds a system of {n_atoms} atoms; that is too many")))
}
