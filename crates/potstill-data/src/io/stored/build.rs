//! The first pass over a file: where each system lies, how many atoms it has, which labels there are.

use std::path::Path;

use rayon::prelude::*;

use super::index::Index;
use crate::io::extxyz::ExtxyzReader;
use crate::io::keys::{ChosenKeys, LabelKeys};
use crate::io::oc20::Oc20Lmdb;
use potstill_core::{Error, Result};

/// Systems that are read at a time; also how often progress is told.
const BLOCK: usize = 256;

/// Index of a plain text: the byte where each system begins, and where the last one ends.
pub(super) fn extxyz(path: &Path, keys: &LabelKeys, progress: &dyn Fn(usize)) -> Result<Index> {
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

/// Index of an LMDB file: the key of each system.
pub(super) fn lmdb(file: &Oc20Lmdb, keys: &LabelKeys, progress: &dyn Fn(usize)) -> Result<Index> {
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
fn together(file: &Oc20Lmdb, keys: &LabelKeys, block: std::ops::Range<usize>, chosen: &ChosenKeys) -> Option<Vec<u32>> {
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

/// A number of atoms as an index holds it.
pub(super) fn narrow(path: &Path, n_atoms: usize) -> Result<u32> {
    u32::try_from(n_atoms)
        .map_err(|_| Error::file(path, format!("holds a system of {n_atoms} atoms; that is too many")))
}
