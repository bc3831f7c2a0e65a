//! Extended XYZ as a [`Format`].

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use potstill_core::files::source::{FileSource, ReadAt};
use potstill_core::{Error, Result, System};

use super::{ExtxyzReader, ExtxyzWriter};
use crate::io::Kind;
use crate::io::compression::Compression;
use crate::io::format::{Format, ReadSystems, WriteSystems};
use crate::io::index::{BLOCK, Index, IndexPlace, RandomAccess, Stored, narrow};
use crate::io::keys::{ChosenKeys, LabelKeys};

/// Longest system in bytes of text; more is an index that does not fit its file.
const LONGEST_SYSTEM: u64 = 1 << 32;

/// `.xyz`, `.extxyz`, and either with `.gz`, `.xz` or `.zst` behind it.
#[derive(Debug)]
pub struct Extxyz;

impl Format for Extxyz {
    fn name(&self) -> &'static str {
        "extended XYZ"
    }

    fn endings(&self) -> &'static str {
        ".xyz or .extxyz (also with .gz, .xz, .zst behind it)"
    }

    fn claims(&self, path: &Path, name: &str) -> bool {
        let plain = [".gz", ".xz", ".zst"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name);
        (plain.ends_with(".xyz") || plain.ends_with(".extxyz")) && !path.is_dir()
    }

    fn read(&self, path: &Path, keys: &LabelKeys) -> Result<Box<dyn ReadSystems>> {
        Ok(Box::new(ExtxyzReader::open(path, keys)?))
    }

    fn write(&self, path: &Path) -> Result<Box<dyn WriteSystems>> {
        Ok(Box::new(ExtxyzWriter::create(path)?))
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind::Extxyz)
    }

    /// A folder of extended XYZ is OC20's raw download, whose energies need the text beside each file.
    fn has_random_access(&self, path: &Path, in_folder: bool) -> Result<bool> {
        Ok(!in_folder && !is_compressed(path)?)
    }

    fn open_stored(&self, path: &Path, place: &IndexPlace<'_>) -> Result<Stored> {
        if is_compressed(path)? {
            let message = "is compressed, so its systems cannot be read in any order; turn it into plain .extxyz with `potstill data \
                           convert`, or read it into memory";
            return Err(Error::file(path, message));
        }
        let index = place.open_or_make(path, || make_index(path, place.keys, place.progress))?;
        let file = TextFile { path: path.to_path_buf(), source: FileSource::open(path)?, keys: place.keys.clone() };
        Ok(Stored { index, source: Box::new(file) })
    }

    fn memory_factor(&self, path: &Path) -> Result<u64> {
        Ok(if is_compressed(path)? { 60 } else { 20 })
    }
}

impl<R: BufRead> ReadSystems for ExtxyzReader<R> {
    fn chosen(&self) -> &ChosenKeys {
        self.chosen()
    }
}

impl WriteSystems for ExtxyzWriter {
    fn write(&mut self, system: &System) -> Result<()> {
        self.write(system)
    }

    fn finish(self: Box<Self>) -> Result<Vec<String>> {
        (*self).finish().map(|()| Vec::new())
    }
}

/// Index of a plain text: the byte at which each system begins, and at which the last one ends.
fn make_index(path: &Path, keys: &LabelKeys, progress: &dyn Fn(usize)) -> Result<Index> {
    let mut reader = ExtxyzReader::open(path, keys)?;
    let mut index = Index { places: vec![0], ..Index::default() };
    while let Some(system) = reader.next() {
        index.n_atoms.push(narrow(path, system?.n_atoms())?);
        index.places.push(reader.offset());
        if index.n_atoms.len().is_multiple_of(BLOCK) {
            progress(index.n_atoms.len());
        }
    }
    // Blank lines behind the last system are nobody's; the last place is that of the next system, if one were there.
    index.chosen = reader.chosen().clone();
    Ok(index)
}

/// A plain text file that is read system by system.
struct TextFile {
    path: PathBuf,
    source: FileSource,
    keys: LabelKeys,
}

impl RandomAccess for TextFile {
    fn get(&self, i: usize, index: &Index) -> Result<System> {
        let text = self.text(i, index)?;
        let mut reader = ExtxyzReader::with_chosen(&text[..], &self.path, &self.keys, index.chosen.clone());
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

impl TextFile {
    /// Bytes of system `i`.
    fn text(&self, i: usize, index: &Index) -> Result<Vec<u8>> {
        let fail = |message: String| Error::file(&self.path, message);
        let (Some(&start), Some(&end)) = (index.places.get(i), index.places.get(i.saturating_add(1))) else {
            return Err(fail(format!("has {} systems; there is no system {i}", index.n_atoms.len())));
        };
        let length = end.checked_sub(start).filter(|&length| length < LONGEST_SYSTEM);
        let length = length.ok_or_else(|| fail(format!("the index is wrong at system {i}; delete it")))?;
        self.source.bytes(start, length).map_err(|e| fail(format!("system {i}: {e}")))
    }
}

fn is_compressed(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
    file.take(8).read_to_end(&mut start).map_err(|e| Error::io(path, "cannot read", e))?;
    Ok(Compression::of_bytes(&start) != Compression::None)
}
