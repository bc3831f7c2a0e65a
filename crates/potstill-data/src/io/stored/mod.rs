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

mod build;
mod index;
mod place;

use std::path::{Path, PathBuf};

use super::Format;
use super::compression::Compression;
use super::extxyz::ExtxyzReader;
use super::keys::{ChosenKeys, LabelKeys};
use super::lmdb::Lmdb;
use super::npz::NpzReader;
use super::oc20::{self, Oc20Lmdb};
use index::Index;
use potstill_core::files::source::{FileSource, ReadAt};
use potstill_core::{Error, Result, System};

#[cfg(test)]
mod tests;

/// Longest system in bytes of text; more is an index that does not fit its file.
const LONGEST_SYSTEM: u64 = 1 << 32;

/// A file from which any system can be read at once; apart from its index, nothing is kept in memory.
pub struct StoredFile {
    path: PathBuf,
    source: Source,
    keys: LabelKeys,
    index: Index,
}

enum Source {
    Extxyz(FileSource),
    Lmdb(Oc20Lmdb),
    Npz(Box<NpzReader>),
}

impl StoredFile {
    /// Opens a file, reading its index or making it.
    ///
    /// `keys` are the names of labels, `cache` a folder for indices that cannot lie beside their file (with `None`, such
    /// an index is made anew every time); `progress` hears how many systems of a first pass are done.
    ///
    /// # Errors
    /// A file that is compressed or of an unknown format; those of its reader; a cache folder that cannot be written.
    pub fn open(path: &Path, keys: &LabelKeys, cache: Option<&Path>, progress: &dyn Fn(usize)) -> Result<Self> {
        std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let (source, index) = match format(path)? {
            Format::Npz => npz(path, keys)?,
            Format::Oc20Lmdb => {
                let make = || build::lmdb(&Oc20Lmdb::open(path)?, keys, progress);
                let index = place::open_or_make(path, keys, cache, make)?;
                (Source::Lmdb(Oc20Lmdb::with_keys(Lmdb::open(path)?, index.places.clone())), index)
            }
            Format::Extxyz => {
                if is_compressed(path)? {
                    return Err(Error::file(path, COMPRESSED));
                }
                let index = place::open_or_make(path, keys, cache, || build::extxyz(path, keys, progress))?;
                (Source::Extxyz(FileSource::open(path)?), index)
            }
        };
        Ok(Self { path: path.to_path_buf(), source, keys: keys.clone(), index })
    }

    /// Number of systems.
    pub fn len(&self) -> usize {
        self.index.n_atoms.len()
    }

    /// Whether there is no system.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keys under which labels are found.
    pub fn chosen(&self) -> &ChosenKeys {
        &self.index.chosen
    }

    /// Number of atoms of each system. Shape: `[n_systems]`.
    pub fn atom_counts(&self) -> &[u32] {
        &self.index.n_atoms
    }

    /// System `i`, as it stands in the file.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such system, or the file was changed since it was opened.
    pub fn get(&self, i: usize) -> Result<System> {
        let system = match &self.source {
            Source::Npz(file) => file.get(i),
            Source::Lmdb(file) => file.get_labelled(i, &self.keys, &mut self.index.chosen.clone()),
            Source::Extxyz(file) => self.text(file, i).and_then(|text| self.parse(i, &text)),
        }?;
        match self.index.n_atoms.get(i) {
            Some(&n) if n as usize == system.n_atoms() => Ok(system),
            _ => Err(Error::file(&self.path, format!("system {i} is not the one it was; has the file changed?"))),
        }
    }

    /// The bytes of system `i` of a text file.
    fn text(&self, file: &FileSource, i: usize) -> Result<Vec<u8>> {
        let fail = |message: String| Error::file(&self.path, message);
        let places = &self.index.places;
        let (Some(&start), Some(&end)) = (places.get(i), places.get(i.saturating_add(1))) else {
            return Err(fail(format!("has {} systems; there is no system {i}", self.len())));
        };
        let length = end.checked_sub(start).filter(|&length| length < LONGEST_SYSTEM);
        let length = length.ok_or_else(|| fail(format!("the index is wrong at system {i}; delete it")))?;
        file.bytes(start, length).map_err(|e| fail(format!("system {i}: {e}")))
    }

    fn parse(&self, i: usize, text: &[u8]) -> Result<System> {
        let mut reader = ExtxyzReader::with_chosen(text, &self.path, &self.keys, self.index.chosen.clone());
        let system = reader.next().unwrap_or_else(|| Err(Error::file(&self.path, "is empty there")));
        // Lines are counted from the start of the system here.
        system.map_err(|e| match e {
            Error::Line { line, message, .. } => {
                Error::file(&self.path, format!("system {i}, its line {line}: {message}"))
            }
            other => other,
        })
    }
}

const COMPRESSED: &str = "is compressed, so its systems cannot be read in any order; \
                          turn it into plain .extxyz with `potstill data convert`, or read it into memory";

fn npz(path: &Path, keys: &LabelKeys) -> Result<(Source, Index)> {
    let file = NpzReader::open(path, keys)?;
    let counts = (0..file.len()).map(|i| file.n_atoms(i));
    let n_atoms = counts.map(|n| build::narrow(path, n)).collect::<Result<_>>()?;
    let index = Index { chosen: file.chosen().clone(), places: Vec::new(), n_atoms };
    Ok((Source::Npz(Box::new(file)), index))
}

fn is_compressed(path: &Path) -> Result<bool> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
    file.take(8).read_to_end(&mut start).map_err(|e| Error::io(path, "cannot read", e))?;
    Ok(Compression::of_bytes(&start) != Compression::None)
}

/// The files that a path stands for: itself, or those of a folder.
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
    let files = expand(path)?;
    // A folder of extended XYZ is OC20's raw download, whose energies need the text beside each file.
    for file in files {
        if format(&file)? == Format::Extxyz && (path.is_dir() || is_compressed(&file)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As [`Format::of`], for files of a folder too, where LMDB itself calls one `data.mdb`.
fn format(file: &Path) -> Result<Format> {
    match file.file_name() {
        Some(name) if name == "data.mdb" && file.is_file() => Ok(Format::Oc20Lmdb),
        _ => Format::of(file),
    }
}

/// Roughly how many bytes of memory the systems of a path take together with graphs of 40 neighbours an atom.
///
/// It is told by the lengths of the files alone: about 2 KiB for an atom, which takes 100 bytes in a plain file, 50 in a
/// `.npz` and 30 where it is compressed.
///
/// # Errors
/// What the file system says, and an unknown format.
pub fn estimated_bytes(path: &Path) -> Result<u64> {
    let mut sum = 0_u64;
    for file in expand(path)? {
        let length = std::fs::metadata(&file).map_err(|e| Error::io(&file, "cannot open", e))?.len();
        let factor = match format(&file) {
            Ok(Format::Npz) => 40,
            Ok(Format::Extxyz) if is_compressed(&file)? => 60,
            _ => 20,
        };
        sum = sum.saturating_add(length.saturating_mul(factor));
    }
    Ok(sum)
}
