//! A shard of a cache: tensors in a memory map, checked against the index when it is opened.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::f16;
use memmap2::Mmap;
use potstill_core::files::checksum;
use potstill_core::{Error, Result};
use safetensors::{Dtype, SafeTensors};

use super::identity::Origin;
use super::index::{Index, IndexShard};
use super::probe_name;
use crate::distill::kind::Kind;

/// Advice about a shard that is not as it should be.
const ADVICE: &str = "delete the cache to make it anew";

/// An open shard.
#[derive(Debug)]
pub(in crate::distill) struct Shard {
    path: PathBuf,
    map: Mmap,
    tensors: BTreeMap<String, Stored>,
    pub origin: Origin,
    /// Edges of each system; empty where there are no edge features.
    pub edge_counts: Vec<usize>,
}

/// Whether what a shard holds is read when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::distill) enum Contents {
    /// Everything, for its checksum, and labels, for numbers that are none.
    Verified,
    /// Nothing but its header and numbers of edges: another process verifies the rest.
    Trusted,
}

/// Place of a tensor in its shard.
#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    width: usize,
    bytes: Range<usize>,
}

impl Shard {
    /// Opens shard number `k` of a cache, whose systems have so many atoms together.
    pub fn open(folder: &Path, index: &Index, (k, n_atoms): (usize, usize), contents: Contents) -> Result<Self> {
        let shard = &index.shards[k];
        let path = folder.join(&shard.file);
        let map = map_file(&path)?;
        let wrong = |message: String| Error::file(&path, format!("{message}; {ADVICE}"));
        let broken = |e: safetensors::SafeTensorError| wrong(format!("not a complete shard ({e})"));
        if shard.n_atoms != n_atoms {
            return Err(wrong(format!("holds {} atoms, where these systems have {n_atoms}", shard.n_atoms)));
        }
        let tensors = SafeTensors::deserialize(&map).map_err(broken)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(broken)?;
        let origin = Origin::of(&map).map_err(wrong)?;
        origin.check(index, k).map_err(wrong)?;
        if contents == Contents::Verified {
            let is_sealed = checksum::verify(&path, &map[..]).map_err(|e| Error::Other(format!("{e}; {ADVICE}")))?;
            if !is_sealed && matches!(origin, Origin::Known(_)) {
                return Err(wrong("is damaged: its checksum is gone".to_owned()));
            }
            check_labels(&tensors, index, shard).map_err(wrong)?;
        }
        let edge_counts = edge_counts(&tensors, shard).map_err(wrong)?;
        check_features(&tensors, index, shard, edge_counts.iter().sum()).map_err(wrong)?;
        // The format: eight bytes with the header's length, the header, the tensors.
        let place = |info: &safetensors::tensor::TensorInfo| {
            let (start, end) = info.data_offsets;
            let width = info.shape.iter().skip(1).try_fold(1_usize, |product, &n| product.checked_mul(n))?;
            Some(Stored { dtype: info.dtype, width, bytes: 8 + header + start..8 + header + end })
        };
        let stored = metadata.tensors().into_iter().filter_map(|(name, info)| Some((name, place(info)?))).collect();
        drop(tensors);
        Ok(Self { path, tensors: stored, origin, edge_counts, map })
    }

    /// Bytes of the file.
    pub fn n_bytes(&self) -> usize {
        self.map.len()
    }

    /// The error of a shard that belongs to another making of the cache than shard 0.
    pub fn stranger(&self) -> Error {
        Error::file(&self.path, format!("is a shard of another cache than the first one; {ADVICE}"))
    }

    /// Rows of a tensor in f64.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<f64>> {
        let broken = |what: &str| Error::file(&self.path, format!("{what} {name}; {ADVICE}"));
        let stored = self.tensors.get(name).ok_or_else(|| broken("has no tensor"))?;
        let row = number_size(stored.dtype)
            .and_then(|size| size.checked_mul(stored.width))
            .ok_or_else(|| broken("has other numbers than f16, f32 or f64 in"))?;
        let bytes = rows.start.checked_mul(row).zip(rows.end.checked_mul(row));
        let bytes = bytes
            .and_then(|(start, end)| self.map.get(stored.bytes.clone())?.get(start..end))
            .ok_or_else(|| broken("has too few rows of"))?;
        Ok(numbers(bytes, stored.dtype))
    }
}

/// Bytes of a number of a type that shards have.
fn number_size(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F64 => Some(8),
        Dtype::F32 => Some(4),
        Dtype::F16 => Some(2),
        _ => None,
    }
}

fn numbers(bytes: &[u8], dtype: Dtype) -> Vec<f64> {
    match dtype {
        Dtype::F64 => bytes
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
            .collect(),
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
        _ => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
    }
}

/// Edges of each system; none where another program left them out.
fn edge_counts(tensors: &SafeTensors<'_>, shard: &IndexShard) -> Result<Vec<usize>, String> {
    let Ok(view) = tensors.tensor("edge_counts") else { return Ok(Vec::new()) };
    if view.dtype() != Dtype::U32 || view.shape() != [shard.n_systems] {
        let (dtype, shape) = (view.dtype(), view.shape());
        return Err(format!("edge_counts: expected U32 [{}], found {dtype:?} {shape:?}", shard.n_systems));
    }
    Ok(view.data().chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize).collect())
}

/// Checks that the labels that the index announces are there, one row for each system or atom, and numbers.
fn check_labels(tensors: &SafeTensors<'_>, index: &Index, shard: &IndexShard) -> Result<(), String> {
    let holds = index.holds;
    for (name, is_there, rows, width) in [
        ("energy", holds.energy, shard.n_systems, 1),
        ("atomic_energies", holds.atomic_energies, shard.n_atoms, 1),
        ("forces", holds.forces, shard.n_atoms, 3),
        ("virial", holds.virial, shard.n_systems, 9),
        ("energy_spread", holds.spread, shard.n_systems, 1),
        ("forces_spread", holds.spread, shard.n_atoms, 1),
    ] {
        if !is_there {
            continue;
        }
        check_shape(tensors, name, rows, width)?.ok_or_else(|| format!("{name}: expected {rows} rows, found none"))?;
        let values = tensors.tensor(name).map(|view| numbers(view.data(), view.dtype())).unwrap_or_default();
        if let Some(k) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("{name}: row {} is {}, not a number", k / width, values[k]));
        }
    }
    Ok(())
}

/// Checks the shapes of features and derivatives that are there; a term that needs one that is not will say so.
fn check_features(tensors: &SafeTensors<'_>, index: &Index, shard: &IndexShard, n_edges: usize) -> Result<(), String> {
    for tap in &index.taps {
        for kind in &tap.kinds {
            let (rows, width) = match kind {
                Kind::Node => (shard.n_atoms, tap.node_channels),
                Kind::EdgeSum => (shard.n_atoms, tap.edge_channels),
                Kind::Vector => (shard.n_atoms, 3 * tap.edge_channels),
                Kind::Edge => (n_edges, tap.edge_channels),
            };
            check_shape(tensors, &format!("{}.{}", kind.key(), tap.tap), rows, width)?;
        }
    }
    for probe in 0..index.probes.map_or(0, |probes| probes.n) {
        check_shape(tensors, &probe_name(probe), shard.n_atoms, 3)?;
    }
    Ok(())
}

/// Checks type, rows and numbers of each row of a tensor; none when it is not there.
fn check_shape(tensors: &SafeTensors<'_>, name: &str, rows: usize, width: usize) -> Result<Option<()>, String> {
    let Ok(view) = tensors.tensor(name) else { return Ok(None) };
    let shape = view.shape();
    let found = shape.iter().skip(1).try_fold(1_usize, |product, &n| product.checked_mul(n));
    if shape.first() != Some(&rows) || found != Some(width) || number_size(view.dtype()).is_none() {
        let dtype = view.dtype();
        return Err(format!("{name}: expected {rows} rows of {width} numbers, found {dtype:?} {shape:?}"));
    }
    Ok(Some(()))
}

#[expect(unsafe_code, reason = "memory mapping is unsafe where another program may change the file meanwhile")]
fn map_file(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
    // SAFETY: the bytes are only read, every access is bounds-checked, and any bit pattern is a valid number. A
    // cache that is overwritten while it is mapped gives other numbers; potstill itself replaces files by renaming.
    unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, "cannot map", e))
}
