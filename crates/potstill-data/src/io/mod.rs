//! Files of systems, in and out.
//!
//! [`read`] and [`write()`] choose the [`Format`] by the file's name. Units are eV and Å: nothing is converted.

pub mod compression;
mod detect;
pub mod extxyz;
#[cfg(test)]
#[path = "flips/tests.rs"]
mod flips;
pub mod format;
pub mod growing;
mod header_units;
pub mod index;
pub mod keys;
pub mod kind;
pub mod lmdb;
pub mod npz;
pub mod oc20;
pub mod output;
pub mod pickle;
mod registry;
pub mod stored;
pub mod torch;
pub mod trajectory;

use std::path::Path;

pub use compression::open_reader;
pub use extxyz::{ExtxyzReader, ExtxyzWriter};
pub use format::{Format, ReadSystems, WriteSystems};
pub use keys::{ChosenKeys, LabelKeys};
pub use kind::Kind;
pub use npz::{NpzReader, NpzWriter};
pub use oc20::{Oc20Lmdb, Oc20Reader};
pub use output::{Output, Overwrite};
pub use registry::format_of;
pub use stored::StoredFile;

use potstill_core::{Error, Result, System};

/// Systems of a file, one after the other; ends after the first error.
pub struct SystemReader(Box<dyn ReadSystems>);

impl SystemReader {
    /// Keys under which labels were found so far; complete when the iterator has ended.
    pub fn chosen(&self) -> &ChosenKeys {
        self.0.chosen()
    }

    /// Names of arrays of the file that no system can hold.
    pub fn left_out(&self) -> &[String] {
        self.0.left_out()
    }
}

impl Iterator for SystemReader {
    type Item = Result<System>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Opens a file of systems, or a folder of OC20's LMDB files.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::File`] for an unknown format or a damaged archive.
pub fn read(path: &Path, keys: &LabelKeys) -> Result<SystemReader> {
    // What is not there has no format either, folder or not.
    std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?;
    Ok(SystemReader(format_of(path)?.read(path, keys)?))
}

/// All systems of a file, and the keys of their labels. A file without systems gives an empty list.
///
/// # Errors
/// The first error of [`read`] or of any system.
pub fn read_all(path: &Path, keys: &LabelKeys) -> Result<(Vec<System>, ChosenKeys)> {
    let mut reader = read(path, keys)?;
    let systems = reader.by_ref().collect::<Result<Vec<_>>>()?;
    Ok((systems, reader.chosen().clone()))
}

/// Writes systems to a file, which appears when [`SystemWriter::finish`] succeeds.
pub struct SystemWriter(Box<dyn WriteSystems>);

/// Opens a file for writing systems, in the format that its name says.
///
/// # Errors
/// [`Error::Io`] when the folder refuses, [`Error::File`] for a format that is unknown or only read.
pub fn write(path: &Path) -> Result<SystemWriter> {
    Ok(SystemWriter(format_of(path)?.write(path)?))
}

impl SystemWriter {
    /// Appends a system.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses, [`Error::System`] when the format cannot hold the system.
    pub fn write(&mut self, system: &System) -> Result<()> {
        self.0.write(system)
    }

    /// Completes the file and gives it its name; returns the names of metadata and columns that its format cannot hold.
    ///
    /// # Errors
    /// [`Error::Io`]; an old file of that name is then untouched.
    pub fn finish(self) -> Result<Vec<String>> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_name() {
        for name in ["a.xyz", "a.extxyz", "a.EXTXYZ.xz", "a.xyz.gz", "dir.x/a.xyz.zst"] {
            assert_eq!(format_of(Path::new(name)).unwrap().name(), "extended XYZ");
        }
        assert_eq!(format_of(Path::new("a.npz")).unwrap().name(), "npz");
        assert_eq!(format_of(Path::new("data.0000.lmdb")).unwrap().name(), "LMDB");
        let known = "the name should end in .xyz or .extxyz (also with .gz, .xz, .zst behind it), .npz or .lmdb";
        let error = format_of(Path::new("a.cif")).map(Format::name).unwrap_err().to_string();
        assert_eq!(error, format!("a.cif: unknown file format; {known}"));
    }

    #[test]
    fn both_formats_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let forces = Some(vec![[0.5, 0.25, -1.0]]);
        let positions = vec![[0.1, 0.2, 0.3]];
        let system = System { atomic_numbers: vec![6], positions, energy: Some(-1.1), forces, ..System::default() };
        for (name, energy_key) in [("a.extxyz.zst", "energy"), ("a.npz", "E")] {
            let path = folder.path().join(name);
            let mut writer = write(&path).unwrap();
            writer.write(&system).unwrap();
            writer.finish().unwrap();
            let (systems, chosen) = read_all(&path, &LabelKeys::default()).unwrap();
            assert_eq!(systems, std::slice::from_ref(&system));
            assert_eq!(chosen.energy.as_deref(), Some(energy_key));
        }
    }
}
