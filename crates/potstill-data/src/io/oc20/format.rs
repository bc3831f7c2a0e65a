//! LMDB files of OC20 as a [`Format`].

use std::ops::Range;
use std::path::Path;

use potstill_core::{Result, System};
use rayon::prelude::*;

use super::{Oc20Lmdb, Oc20Reader};
use crate::io::format::{Format, ReadSystems};
use crate::io::index::{BLOCK, Index, IndexPlace, RandomAccess, Stored, narrow};
use crate::io::keys::{ChosenKeys, LabelKeys};
use crate::io::lmdb::Lmdb;

/// `.lmdb`, or a folder of such files; only read, never written.
#[derive(Debug)]
pub struct Oc20;

impl Format for Oc20 {
    fn name(&self) -> &'static str {
        "LMDB"
    }

    fn endings(&self) -> &'static str {
        ".lmdb"
    }

    /// Accepts `data.mdb` too, LMDB's own name for a file within a folder.
    fn claims(&self, path: &Path, name: &str) -> bool {
        name.ends_with(".lmdb") || path.is_dir() || name == "data.mdb" && path.is_file()
    }

    fn read(&self, path: &Path, keys: &LabelKeys) -> Result<Box<dyn ReadSystems>> {
        Ok(Box::new(Oc20Reader::open(path, keys)?))
    }

    fn has_random_access(&self, _path: &Path, _in_folder: bool) -> Result<bool> {
        Ok(true)
    }

    fn open_stored(&self, path: &Path, place: &IndexPlace<'_>) -> Result<Stored> {
        let make = || make_index(&Oc20Lmdb::open(path)?, place.keys, place.progress);
        let index = place.open_or_make(path, make)?;
        let file = Oc20Lmdb::with_keys(Lmdb::open(path)?, index.places.clone());
        Ok(Stored { index, source: Box::new(LabelledFile { file, keys: place.keys.clone() }) })
    }
}

impl ReadSystems for Oc20Reader {
    fn chosen(&self) -> &ChosenKeys {
        self.chosen()
    }
}

/// An LMDB file with the names of its labels.
struct LabelledFile {
    file: Oc20Lmdb,
    keys: LabelKeys,
}

impl RandomAccess for LabelledFile {
    fn get(&self, i: usize, index: &Index) -> Result<System> {
        self.file.get_labelled(i, &self.keys, &mut index.chosen.clone())
    }
}

/// Index of an LMDB file: the key of each system.
fn make_index(file: &Oc20Lmdb, keys: &LabelKeys, progress: &dyn Fn(usize)) -> Result<Index> {
    let mut index = Index::default();
    for first in (0..file.len()).step_by(BLOCK) {
        let block = first..(first + BLOCK).min(file.len());
        let counts = match together(file, keys, block.clone(), &index.chosen) {
            Some(counts) => counts,
            // An error, or labels that are settled within this block: what comes later depends on what came before.
            None => block.clone().map(|i| n_atoms(file, i, keys, &mut index.chosen)).collect::<Result<Vec<u32>>>()?,
        };
        index.n_atoms.extend(counts);
        index.places.extend(block.filter_map(|i| file.key(i)));
        progress(index.n_atoms.len());
    }
    Ok(index)
}

/// Numbers of atoms, read in parallel, when every system is whole and none settles the name of a label.
fn together(file: &Oc20Lmdb, keys: &LabelKeys, block: Range<usize>, chosen: &ChosenKeys) -> Option<Vec<u32>> {
    let one = |i: usize| {
        let mut own = chosen.clone();
        let n = n_atoms(file, i, keys, &mut own).ok()?;
        (own == *chosen).then_some(n)
    };
    block.into_par_iter().map(one).collect()
}

fn n_atoms(file: &Oc20Lmdb, i: usize, keys: &LabelKeys, chosen: &mut ChosenKeys) -> Result<u32> {
    narrow(file.path(), file.get_labelled(i, keys, chosen)?.n_atoms())
}
