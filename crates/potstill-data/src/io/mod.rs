//! Files of systems, in and out.
//!
//! [`read`] and [`write()`] choose the [`Format`] by the file's name. Units are eV and Å: nothing is converted.

pub mod compression;
pub mod extxyz;
#[cfg(test)]
#[path = "flips/tests.rs"]
mod flips;
mod header_units;
pub mod keys;
pub mod kind;
pub mod lmdb;
pub mod npz;
pub mod oc20;
pub mod output;
pub mod pickle;
pub mod stored;
pub mod torch;

use std::path::Path;

pub use compression::open_reader;
pub use extxyz::{ExtxyzReader, ExtxyzWriter};
pub use keys::{ChosenKeys, LabelKeys};
pub use kind::Kind;
pub use npz::{NpzReader, NpzWriter};
pub use oc20::{Oc20Lmdb, Oc20Reader};
pub use output::{Output, Overwrite};
pub use stored::StoredFile;

use potstill_core::{Error, Result, System};

/// A kind of file that holds systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// [`extxyz`]: `.xyz`, `.extxyz`, and either with `.gz`, `.xz` or `.zst` behind it.
    Extxyz,
    /// [`npz`]: `.npz`.
    Npz,
    /// [`oc20`]: `.lmdb`, or a folder of such files; only read, never written.
    Oc20Lmdb,
}

impl Format {
    /// Format of a file, by its name.
    ///
    /// # Errors
    /// [`Error::File`] with the known extensions when the name has none of them.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if name.ends_with(".npz") {
            return Ok(Self::Npz);
        }
        if name.ends_with(".lmdb") || path.is_dir() {
            return Ok(Self::Oc20Lmdb);
        }
        let plain = [".gz", ".xz", ".zst"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(&name);
        if plain.ends_with(".xyz") || plain.ends_with(".extxyz") {
            return Ok(Self::Extxyz);
        }
        let known = ".xyz or .extxyz (also with .gz, .xz, .zst behind it), .npz or .lmdb";
        Err(Error::file(path, format!("unknown file format; the name should end in {known}")))
    }
}

/// Systems of a file, one after the other; ends after the first error.
pub struct SystemReader(AnyReader);

enum AnyReader {
    Extxyz(Box<ExtxyzReader<Box<dyn std::io::BufRead + Send>>>),
    Npz(Box<NpzReader>),
    Oc20Lmdb(Box<Oc20Reader>),
}

impl SystemReader {
    /// Keys under which labels were found so far; complete when the iterator has ended.
    pub fn chosen(&self) -> &ChosenKeys {
        match &self.0 {
            AnyReader::Extxyz(reader) => reader.chosen(),
            AnyReader::Npz(reader) => reader.chosen(),
            AnyReader::Oc20Lmdb(reader) => reader.chosen(),
        }
    }

    /// Names of what the file holds beside this and no system can hold.
    pub fn left_out(&self) -> &[String] {
        match &self.0 {
            AnyReader::Npz(reader) => reader.left_out(),
            AnyReader::Extxyz(_) | AnyReader::Oc20Lmdb(_) => &[],
        }
    }
}

impl Iterator for SystemReader {
    type Item = Result<System>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            AnyReader::Extxyz(reader) => reader.next(),
            AnyReader::Npz(reader) => reader.next(),
            AnyReader::Oc20Lmdb(reader) => reader.next(),
        }
    }
}

/// Opens a file of systems, or a folder of OC20's LMDB files.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::File`] for an unknown format or a damaged archive.
pub fn read(path: &Path, keys: &LabelKeys) -> Result<SystemReader> {
    // What is not there has no format either, folder or not.
    std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?;
    Ok(SystemReader(match Format::of(path)? {
        Format::Extxyz => AnyReader::Extxyz(Box::new(ExtxyzReader::open(path, keys)?)),
        Format::Npz => AnyReader::Npz(Box::new(NpzReader::open(path, keys)?)),
        Format::Oc20Lmdb => AnyReader::Oc20Lmdb(Box::new(Oc20Reader::open(path, keys)?)),
    }))
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
pub struct SystemWriter(AnyWriter);

enum AnyWriter {
    Extxyz(Box<ExtxyzWriter>),
    Npz(Box<NpzWriter>),
}

/// Opens a file for writing systems, in the format that its name says.
///
/// # Errors
/// [`Error::Io`] when the folder refuses, [`Error::File`] for an unknown format.
pub fn write(path: &Path) -> Result<SystemWriter> {
    Ok(SystemWriter(match Format::of(path)? {
        Format::Extxyz => AnyWriter::Extxyz(Box::new(ExtxyzWriter::create(path)?)),
        Format::Npz => AnyWriter::Npz(Box::new(NpzWriter::create(path)?)),
        Format::Oc20Lmdb => return Err(Error::file(path, "LMDB files are only read; write .extxyz or .npz instead")),
    }))
}

impl SystemWriter {
    /// Appends a system.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses, [`Error::System`] when the format cannot hold the system.
    pub fn write(&mut self, system: &System) -> Result<()> {
        match &mut self.0 {
            AnyWriter::Extxyz(writer) => writer.write(system),
            AnyWriter::Npz(writer) => writer.write(system),
        }
    }

    /// Completes the file and gives it its name; returns the names of metadata and columns that its format cannot hold.
    ///
    /// # Errors
    /// [`Error::Io`]; an old file of that name is then untouched.
    pub fn finish(self) -> Result<Vec<String>> {
        match self.0 {
            AnyWriter::Extxyz(writer) => writer.finish().map(|()| Vec::new()),
            AnyWriter::Npz(writer) => writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_name() {
        for name in ["a.xyz", "a.extxyz", "a.EXTXYZ.xz", "a.xyz.gz", "dir.x/a.xyz.zst"] {
            assert_eq!(Format::of(Path::new(name)).unwrap(), Format::Extxyz);
        }
        assert_eq!(Format::of(Path::new("a.npz")).unwrap(), Format::Npz);
        assert_eq!(Format::of(Path::new("data.0000.lmdb")).unwrap(), Format::Oc20Lmdb);
        let known = "the name should end in .xyz or .extxyz (also with .gz, .xz, .zst behind it), .npz or .lmdb";
        let error = Format::of(Path::new("a.cif")).unwrap_err().to_string();
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
