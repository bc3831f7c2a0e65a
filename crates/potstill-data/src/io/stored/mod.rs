//! Files whose systems are read one by one, in any order, by several threads: what a dataset larger than memory needs.
//!
//! | file | where a system is found |
//! |---|---|
//! | plain extended XYZ | at its byte; the index holds it |
//! | LMDB of OC20 | under its key; the index holds it |
//! | `.npz` | in the arrays, which stay in memory (about 60 bytes an atom); there is no index |
//! | compressed extended XYZ, OC20's raw download | nowhere: refused, with the advice to convert |
//!
//! The index is made by one first pass over the file, which also checks every system, and kept beside it as
//! `NAME.potstill-index`, or in a folder that the caller gives where that cannot be written. It is made again when the
//! length or the time of last change of the file differs from what it was made for.

use std::path::{Path, PathBuf};

use potstill_core::{Error, Result, System};

use super::index::{IndexPlace, Stored};
use super::keys::{ChosenKeys, LabelKeys};
use super::oc20;
use super::registry::format_of;

#[cfg(test)]
mod tests;

/// A file from which any system can be read at once; apart from its index, nothing is kept in memory.
pub struct StoredFile {
    path: PathBuf,
    file: Stored,
}

impl StoredFile {
    /// Opens a file, reading its index or making it.
    ///
    /// `keys` are the names of labels, `cache` a folder for indices that cannot lie beside their file (with `None`, such
    /// an index is made again every time); `progress` hears how many systems of a first pass are done.
    ///
    /// # Errors
    /// A file that is compressed or of an unknown format; those of its reader; a cache folder that cannot be written.
    pub fn open(path: &Path, keys: &LabelKeys, cache: Option<&Path>, progress: &dyn Fn(usize)) -> Result<Self> {
        std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let file = format_of(path)?.open_stored(path, &IndexPlace { keys, cache, progress })?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Number of systems.
    pub fn len(&self) -> usize {
        self.file.index.n_atoms.len()
    }

    /// Whether there is no system.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keys under which labels are found.
    pub fn chosen(&self) -> &ChosenKeys {
        &self.file.index.chosen
    }

    /// Number of atoms of each system. Shape: `[n_systems]`.
    pub fn atom_counts(&self) -> &[u32] {
        &self.file.index.n_atoms
    }

    /// System `i`, as it stands in the file.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such system, or the file was changed since it was opened.
    pub fn get(&self, i: usize) -> Result<System> {
        let Stored { index, source } = &self.file;
        let system = source.get(i, index)?;
        match index.n_atoms.get(i) {
            Some(&n) if n as usize == system.n_atoms() => Ok(system),
            _ => Err(Error::file(&self.path, format!("system {i} is not the one it was; has the file changed?"))),
        }
    }
}

/// Files that a path stands for: itself, or those of a folder.
///
/// # Errors
/// What the file system says, and a folder without data.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?;
    oc20::files(path)
}

/// Whether [`StoredFile`] can read each file that a path stands for.
///
/// # Errors
/// What the file system says, and an unknown format.
pub fn is_stored(path: &Path) -> Result<bool> {
    for file in expand(path)? {
        if !format_of(&file)?.has_random_access(&file, path.is_dir())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Estimated bytes of memory that the systems of a path take together with graphs of 40 neighbours an atom.
///
/// Told by the lengths of the files alone: about 2 KiB for an atom, which takes 100 bytes in a plain file, 50 in a
/// `.npz` and 30 where it is compressed.
///
/// # Errors
/// What the file system says, and an unknown format.
pub fn estimated_bytes(path: &Path) -> Result<u64> {
    let mut sum = 0_u64;
    for file in expand(path)? {
        let length = std::fs::metadata(&file).map_err(|e| Error::io(&file, "cannot open", e))?.len();
        let factor = format_of(&file).map_or(Ok(20), |format| format.memory_factor(&file))?;
        sum = sum.saturating_add(length.saturating_mul(factor));
    }
    Ok(sum)
}
