//! NumPy archives as a [`Format`].

use std::path::Path;

use potstill_core::{Result, System};

use super::{NpzReader, NpzWriter};
use crate::io::Kind;
use crate::io::format::{Format, ReadSystems, WriteSystems};
use crate::io::index::{Index, IndexPlace, RandomAccess, Stored, narrow};
use crate::io::keys::{ChosenKeys, LabelKeys};

/// `.npz`.
#[derive(Debug)]
pub struct Npz;

impl Format for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn endings(&self) -> &'static str {
        ".npz"
    }

    fn claims(&self, _path: &Path, name: &str) -> bool {
        name.ends_with(".npz")
    }

    fn read(&self, path: &Path, keys: &LabelKeys) -> Result<Box<dyn ReadSystems>> {
        Ok(Box::new(NpzReader::open(path, keys)?))
    }

    fn write(&self, path: &Path) -> Result<Box<dyn WriteSystems>> {
        Ok(Box::new(NpzWriter::create(path)?))
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind::Npz)
    }

    fn has_random_access(&self, _path: &Path, _in_folder: bool) -> Result<bool> {
        Ok(true)
    }

    /// The arrays stay in memory, so nothing of an index is kept on disk.
    fn open_stored(&self, path: &Path, place: &IndexPlace<'_>) -> Result<Stored> {
        let file = NpzReader::open(path, place.keys)?;
        let n_atoms = (0..file.len()).map(|i| narrow(path, file.n_atoms(i))).collect::<Result<_>>()?;
        let index = Index { chosen: file.chosen().clone(), places: Vec::new(), n_atoms };
        Ok(Stored { index, source: Box::new(file) })
    }

    fn memory_factor(&self, _path: &Path) -> Result<u64> {
        Ok(40)
    }
}

impl ReadSystems for NpzReader {
    fn chosen(&self) -> &ChosenKeys {
        self.chosen()
    }

    fn left_out(&self) -> &[String] {
        self.left_out()
    }
}

impl WriteSystems for NpzWriter {
    fn write(&mut self, system: &System) -> Result<()> {
        self.write(system)
    }

    fn finish(self: Box<Self>) -> Result<Vec<String>> {
        (*self).finish()
    }
}

impl RandomAccess for NpzReader {
    fn get(&self, i: usize, _index: &Index) -> Result<System> {
        self.get(i)
    }
}
