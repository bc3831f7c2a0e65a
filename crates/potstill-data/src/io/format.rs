//! Interface of a file format.

use std::path::Path;

use potstill_core::{Error, Result, System};

use super::Kind;
use super::index::{IndexPlace, Stored};
use super::keys::{ChosenKeys, LabelKeys};

/// A format of files that hold systems.
///
/// Reading is required; writing and random access have defaults that refuse.
pub trait Format: Sync {
    /// Name for messages, such as `LMDB`.
    fn name(&self) -> &'static str;

    /// Endings of its files for messages, such as `.npz`.
    fn endings(&self) -> &'static str;

    /// Whether a file of that name has this format; `name` is the file's own name in lower case.
    fn claims(&self, path: &Path, name: &str) -> bool;

    /// Opens a file for reading its systems one after the other.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::File`] when it is damaged.
    fn read(&self, path: &Path, keys: &LabelKeys) -> Result<Box<dyn ReadSystems>>;

    /// Opens a file for writing systems; it appears when [`WriteSystems::finish`] succeeds.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder refuses, [`Error::File`] for a format that is only read.
    fn write(&self, path: &Path) -> Result<Box<dyn WriteSystems>> {
        Err(self.only_read(path))
    }

    /// Kind of the files that are written; `None` for a format that is only read.
    fn kind(&self) -> Option<Kind> {
        None
    }

    /// Whether systems of a file can be read in any order; `in_folder` for one of several files of a dataset.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened.
    fn has_random_access(&self, _path: &Path, _in_folder: bool) -> Result<bool> {
        Ok(false)
    }

    /// Opens a file for reading its systems in any order, with an index that is read or made.
    ///
    /// # Errors
    /// [`Error::File`] for a file without random access, and those of [`Format::read`].
    fn open_stored(&self, path: &Path, _place: &IndexPlace<'_>) -> Result<Stored> {
        let message = format!("{} files cannot be read in any order; read it into memory", self.name());
        Err(Error::file(path, message))
    }

    /// Estimated bytes of memory, graphs included, for each byte of a file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened.
    fn memory_factor(&self, _path: &Path) -> Result<u64> {
        Ok(20)
    }

    /// Error for a file of a format that is only read.
    fn only_read(&self, path: &Path) -> Error {
        Error::file(path, format!("{} files are only read; write .extxyz or .npz instead", self.name()))
    }
}

/// Systems of a file, one after the other; ends after the first error.
pub trait ReadSystems: Iterator<Item = Result<System>> {
    /// Keys under which labels were found so far; complete when the iterator has ended.
    fn chosen(&self) -> &ChosenKeys;

    /// Names of arrays of the file that no system can hold.
    fn left_out(&self) -> &[String] {
        &[]
    }
}

/// A file of systems that is being written.
pub trait WriteSystems {
    /// Appends a system.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses, [`Error::System`] when the format cannot hold the system.
    fn write(&mut self, system: &System) -> Result<()>;

    /// Completes the file and gives it its name; returns the names of metadata and columns that its format cannot hold.
    ///
    /// # Errors
    /// [`Error::Io`]; an old file of that name is then untouched.
    fn finish(self: Box<Self>) -> Result<Vec<String>>;
}
