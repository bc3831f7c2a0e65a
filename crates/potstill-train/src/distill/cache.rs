//! What a teacher says of a dataset, asked once and kept in files.
//!
//! A cache is a folder: `index.json` and shards `shard-00000.safetensors`, memory-mapped when read. Each shard holds,
//! for some systems in dataset order, `energy` (f64, eV), `atomic_energies` (f64, eV), `forces` (f32, eV/Å) and, for
//! each tap that was asked for, `node.<tap>` `[n_atoms, c]`, `edge_sum.<tap>` `[n_atoms, c']`, `vector.<tap>`
//! `[n_atoms, 3·c']` and `edge.<tap>` `[n_edges, c']` in f16 or f32; or everything in f64. Edges are those of the teacher's
//! main graph, sorted by target, source and shift; `edge_counts` `[n_systems]` says how many each system has.
//! The index names the dataset and the teacher by hash. Any program can write the same files.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use half::f16;
use memmap2::Mmap;
use potstill_core::dataset::{DatasetHash, Systems, Visit};
use potstill_core::graph::Graph;
use potstill_core::io::write_atomically;
use potstill_core::{Error, Result, System};
use potstill_nn::batch::{Batch, to_host};
use potstill_nn::checkpoint::{Tensors, write_tensors};
use potstill_nn::features::Reduction;
use potstill_nn::model::Model;
use potstill_nn::{Architecture, Tap};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

/// Version of the layout.
const FORMAT_VERSION: u64 = 2;
/// Atoms of one shard, about; bounds what a killed labelling loses.
const ATOMS_PER_SHARD: usize = 40_000;
/// Atoms of one forward pass of the teacher.
const ATOMS_PER_BATCH: usize = 400;
/// Largest finite f16.
const F16_MAX: f64 = 65504.0;

/// Precision of cached features; energies are always kept in f64, forces at least in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Half precision: half the size, relative error 5e-4. The default.
    #[default]
    F16,
    /// Single precision.
    F32,
    /// Double precision, forces too: for tests and for parity with other programs.
    F64,
}

/// A kind of feature that a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Scalar features of atoms.
    Node,
    /// Edge features, summed over the edges into each atom.
    EdgeSum,
    /// Vector features of atoms.
    Vector,
    /// Features of edges.
    Edge,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::EdgeSum => "edge_sum",
            Self::Vector => "vector",
            Self::Edge => "edge",
        }
    }
}

/// Features of one tap that a cache holds or shall hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where in the teacher.
    pub tap: Tap,
    /// Which of its features.
    pub kinds: Vec<Kind>,
}

impl Wanted {
    /// Joins what is wanted at the same tap.
    pub fn add(all: &mut Vec<Self>, tap: Tap, kinds: &[Kind]) {
        let own = match all.iter().position(|w| w.tap == tap) {
            Some(i) => i,
            None => {
                all.push(Self { tap, kinds: Vec::new() });
                all.len() - 1
            }
        };
        for kind in kinds {
            if !all[own].kinds.contains(kind) {
                all[own].kinds.push(*kind);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format_version: u64,
    structure_hash: String,
    teacher_hash: String,
    precision: Precision,
    taps: Vec<IndexTap>,
    shards: Vec<IndexShard>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexTap {
    tap: String,
    node_channels: usize,
    edge_channels: usize,
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexShard {
    file: String,
    n_systems: usize,
    n_atoms: usize,
}

/// An open cache.
#[derive(Debug)]
pub struct TeacherCache {
    index: Index,
    shards: Vec<Shard>,
    /// Shard, row of the system in it, first atom in it, number of atoms.
    places: Vec<Place>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
    tensors: BTreeMap<String, Stored>,
}

/// Where a tensor lies in its shard.
#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    width: usize,
    bytes: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    shard: usize,
    system: usize,
    first_atom: usize,
    n_atoms: usize,
    first_edge: usize,
    n_edges: usize,
}

/// Whether a cache was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there and fits.
    Reused,
    /// The teacher was evaluated.
    Made,
}

/// Opens the cache in `folder` when it fits, else asks the teacher and writes it.
///
/// `progress` hears how many systems are done. A killed run keeps its finished shards.
///
/// # Errors
/// A cache of another dataset or teacher, elements that the teacher does not know, features too large for f16, and
/// what the file system says.
pub fn open_or_make(
    folder: &Path,
    teacher: &Model,
    systems: &Systems,
    wanted: &[Wanted],
    precision: Precision,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(TeacherCache, Origin)> {
    let mut wanted = wanted.to_vec();
    let mut hash = DatasetHash::structures(systems.len());
    systems.visit(&mut |_, system| {
        hash.add(system);
        Ok(())
    })?;
    let structure_hash = hash.finish();
    let mut index = plan(teacher, systems, &structure_hash, &wanted, precision);
    if folder.join("index.json").exists() {
        let found = read_index(folder)?;
        check_same(folder, &found, &index)?;
        if covers(&found, &index) {
            return Ok((TeacherCache::open(folder, found, systems)?, Origin::Reused));
        }
        // Runs that share the folder and want different taps must not take turns in making it.
        add_taps(&mut wanted, &found);
        index = plan(teacher, systems, &structure_hash, &wanted, precision);
    }
    make(folder, teacher, systems, &wanted, &index, progress)?;
    Ok((TeacherCache::open(folder, index, systems)?, Origin::Made))
}

fn plan(teacher: &Model, systems: &Systems, structure_hash: &str, wanted: &[Wanted], precision: Precision) -> Index {
    let model = &teacher.header().model;
    let (node_channels, edge_channels) = (model.node_channels(), reduced_channels(model));
    let taps = wanted
        .iter()
        .map(|w| IndexTap { tap: w.tap.to_string(), node_channels, edge_channels, kinds: w.kinds.clone() })
        .collect();
    let mut shards: Vec<IndexShard> = Vec::new();
    for part in systems.batches(ATOMS_PER_SHARD) {
        let file = format!("shard-{:05}.safetensors", shards.len());
        let n_atoms = part.clone().map(|i| systems.n_atoms(i)).sum();
        shards.push(IndexShard { file, n_systems: part.len(), n_atoms });
    }
    Index {
        format_version: FORMAT_VERSION,
        structure_hash: structure_hash.to_owned(),
        teacher_hash: teacher.hash().to_owned(),
        precision,
        taps,
        shards,
    }
}

/// Width of edge features, or of the scalar ones where a network without them shows those.
pub(super) fn reduced_channels(model: &Architecture) -> usize {
    model.edge_channels().unwrap_or(model.node_channels())
}

fn read_index(folder: &Path) -> Result<Index> {
    let path = folder.join("index.json");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "cannot open", e))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|e| Error::file(&path, format!("not the index of a teacher cache: {e}; delete the folder")))?;
    if index.format_version > FORMAT_VERSION {
        let message =
            format!("format version {} is newer than {FORMAT_VERSION}; update potstill", index.format_version);
        return Err(Error::file(&path, message));
    }
    Ok(index)
}

fn check_same(folder: &Path, found: &Index, wanted: &Index) -> Result<()> {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let other = |what: &str, found: &str, expected: &str| {
        let message = format!(
            "holds what a teacher said of {what} {}, not {}; give another folder as `distill.cache` or delete this one",
            short(found),
            short(expected)
        );
        Err(Error::file(folder, message))
    };
    if found.structure_hash != wanted.structure_hash {
        return other("dataset", &found.structure_hash, &wanted.structure_hash);
    }
    if found.teacher_hash != wanted.teacher_hash {
        return other("this dataset by teacher", &found.teacher_hash, &wanted.teacher_hash);
    }
    Ok(())
}

/// Whether everything that `wanted` asks for is in `found`, in the same precision.
fn covers(found: &Index, wanted: &Index) -> bool {
    let has = |f: &IndexTap, w: &IndexTap| f.tap == w.tap && w.kinds.iter().all(|kind| f.kinds.contains(kind));
    found.precision == wanted.precision && wanted.taps.iter().all(|w| found.taps.iter().any(|f| has(f, w)))
}

/// What an older index holds comes first, so that its finished shards keep their order of tensors.
fn add_taps(wanted: &mut Vec<Wanted>, found: &Index) {
    let mut all: Vec<Wanted> = Vec::new();
    for held in &found.taps {
        if let Ok(tap) = held.tap.parse() {
            Wanted::add(&mut all, tap, &held.kinds);
        }
    }
    for w in wanted.drain(..) {
        Wanted::add(&mut all, w.tap, &w.kinds);
    }
    *wanted = all;
}

fn make(
    folder: &Path,
    teacher: &Model,
    systems: &Systems,
    wanted: &[Wanted],
    index: &Index,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "cannot create the folder", e))?;
    // An index that no longer tells the truth would outlive a killed run.
    let index_path = folder.join("index.json");
    if index_path.exists() {
        std::fs::remove_file(&index_path).map_err(|e| Error::io(&index_path, "cannot replace", e))?;
    }
    let key = serde_json::to_string(index).map_err(|e| Error::file(&index_path, e.to_string()))?;
    let key = blake3::hash(key.as_bytes()).to_hex().to_string();
    let mut first = 0;
    for shard in &index.shards {
        let path = folder.join(&shard.file);
        if !is_finished(&path, &key) {
            let part = first..first + shard.n_systems;
            let tensors = evaluate_shard(teacher, systems, part, wanted, index.precision)?;
            write_tensors(&path, "plan", &key, &tensors)?;
        }
        first += shard.n_systems;
        progress(first);
    }
    write_atomically(&index_path, |writer| Ok(serde_json::to_writer_pretty(writer, index)?))
}

/// Whether an earlier, killed run of the same plan finished this shard.
fn is_finished(path: &Path, key: &str) -> bool {
    let Ok(bytes) = std::fs::read(path) else { return false };
    SafeTensors::read_metadata(&bytes)
        .is_ok_and(|(_, m)| m.metadata().as_ref().and_then(|m| m.get("plan")).is_some_and(|k| k == key))
}

/// Host copies of what one forward pass gave.
struct Part {
    labels: potstill_core::Prediction,
    features: Vec<(String, usize, Vec<f64>)>,
    edge_counts: Vec<u32>,
}

/// Number of edges of each system.
fn edge_counts(graph: &Graph) -> Vec<u32> {
    let mut counts = vec![0; graph.n_systems()];
    for &target in &graph.target {
        counts[graph.system_index[target as usize] as usize] += 1;
    }
    counts
}

fn evaluate_shard(
    teacher: &Model,
    systems: &Systems,
    part: Range<usize>,
    wanted: &[Wanted],
    precision: Precision,
) -> Result<Tensors> {
    let taps: Vec<Tap> = wanted.iter().map(|w| w.tap).collect();
    let parts: Vec<Part> = systems
        .batches_of(part, ATOMS_PER_BATCH)
        .into_par_iter()
        .map(|batch| {
            let members = systems.get_all(batch.clone())?;
            let members: Vec<&System> = members.iter().map(AsRef::as_ref).collect();
            let (graph, output) = teacher.forward(&members, &taps).map_err(|e| e.shifted(batch.start))?;
            let labels = teacher.to_prediction(&members, &output)?;
            let edges = Batch::new(graph.main(), teacher.device(), teacher.dtype());
            let mut features = Vec::new();
            for w in wanted {
                let Some(found) = output.features.iter().find(|f| f.tap == w.tap) else { continue };
                let mut keep = |kind: Kind, values: Tensor<2>| {
                    features.push((format!("{}.{}", kind.key(), w.tap), values.dims()[1], to_host(&values)));
                };
                for kind in &w.kinds {
                    let values = match kind {
                        Kind::Node => Some(found.node.clone()),
                        Kind::EdgeSum => Some(found.reduced_edges(&edges, Reduction::Sum)),
                        Kind::Vector => found.vectors(&edges, Reduction::Sum),
                        Kind::Edge => found.edges(&edges),
                    };
                    if let Some(values) = values {
                        keep(*kind, values);
                    }
                }
            }
            let edge_counts = edge_counts(graph.main());
            Ok(Part { labels, features, edge_counts })
        })
        .collect::<Result<_>>()?;
    pack(parts, precision)
}

fn pack(parts: Vec<Part>, precision: Precision) -> Result<Tensors> {
    let energy: Vec<f64> = parts.iter().flat_map(|p| p.labels.energy.iter().copied()).collect();
    let atomic: Vec<f64> = parts.iter().flat_map(|p| p.labels.atomic_energies.iter().copied()).collect();
    let forces: Vec<f64> = parts.iter().flat_map(|p| p.labels.forces.iter().flatten().copied()).collect();
    let n_force_rows = forces.len() / 3;
    let (force_dtype, forces) = match precision {
        Precision::F64 => (Dtype::F64, bytemuck::cast_slice(&forces).to_vec()),
        _ => {
            let narrow: Vec<f32> = forces.iter().map(|&c| c as f32).collect();
            (Dtype::F32, bytemuck::cast_slice(&narrow).to_vec())
        }
    };
    let n_atoms = atomic.len();
    let mut tensors: Tensors = vec![
        ("energy".into(), Dtype::F64, vec![energy.len()], bytemuck::cast_slice(&energy).to_vec()),
        ("atomic_energies".into(), Dtype::F64, vec![n_atoms], bytemuck::cast_slice(&atomic).to_vec()),
        ("forces".into(), force_dtype, vec![n_force_rows, 3], forces),
    ];
    let counts: Vec<u32> = parts.iter().flat_map(|p| p.edge_counts.iter().copied()).collect();
    tensors.push(("edge_counts".into(), Dtype::U32, vec![counts.len()], bytemuck::cast_slice(&counts).to_vec()));
    let Some(first) = parts.first() else { return Ok(tensors) };
    for (k, (name, width, _)) in first.features.iter().enumerate() {
        let values = parts.iter().flat_map(|p| p.features[k].2.iter().copied());
        let (dtype, bytes) = match precision {
            Precision::F64 => {
                let values: Vec<f64> = values.collect();
                (Dtype::F64, bytemuck::cast_slice(&values).to_vec())
            }
            Precision::F32 => {
                let narrow: Vec<f32> = values.map(|v| v as f32).collect();
                (Dtype::F32, bytemuck::cast_slice(&narrow).to_vec())
            }
            Precision::F16 => {
                let values: Vec<f64> = values.collect();
                if let Some(large) = values.iter().find(|v| v.abs() > F16_MAX) {
                    let message = format!("teacher feature {large:e} at {name} does not fit into f16; use `f32`");
                    return Err(Error::setting("distill.feature_precision", message));
                }
                (Dtype::F16, values.iter().flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect())
            }
        };
        let rows = parts.iter().map(|p| p.features[k].2.len()).sum::<usize>() / width;
        tensors.push((name.clone(), dtype, vec![rows, *width], bytes));
    }
    Ok(tensors)
}

impl TeacherCache {
    fn open(folder: &Path, index: Index, systems: &Systems) -> Result<Self> {
        let mut shards = Vec::new();
        let mut places = Vec::with_capacity(systems.len());
        for (k, shard) in index.shards.iter().enumerate() {
            let path = folder.join(&shard.file);
            let first_place = places.len();
            let mut first_atom = 0;
            for system in 0..shard.n_systems {
                if places.len() == systems.len() {
                    break;
                }
                let n_atoms = systems.n_atoms(places.len());
                places.push(Place { shard: k, system, first_atom, n_atoms, first_edge: 0, n_edges: 0 });
                first_atom += n_atoms;
            }
            let map = map_file(&path)?;
            let tensors = check_shard(&path, &map, shard, first_atom)?;
            let mut first_edge = 0;
            for (place, n_edges) in places[first_place..].iter_mut().zip(stored_counts(&map, &tensors)) {
                (place.first_edge, place.n_edges) = (first_edge, n_edges);
                first_edge += n_edges;
            }
            shards.push(Shard { path, map, tensors });
        }
        if places.len() != systems.len() {
            let message =
                format!("covers {} of {} systems; delete the folder to make it anew", places.len(), systems.len());
            return Err(Error::file(folder, message));
        }
        Ok(Self { index, shards, places })
    }

    /// Channels of the features of one kind at a tap, absent when the cache does not hold it.
    pub fn channels(&self, kind: Kind, tap: Tap) -> Option<usize> {
        let name = tap.to_string();
        let found = self.index.taps.iter().find(|t| t.tap == name)?;
        Some(if kind == Kind::Node { found.node_channels } else { found.edge_channels })
    }

    /// Edges of system `i` in the teacher's main graph.
    pub fn n_edges(&self, i: usize) -> usize {
        self.places[i].n_edges
    }

    /// Bytes of all shards.
    pub fn n_bytes(&self) -> usize {
        self.shards.iter().map(|s| s.map.len()).sum()
    }

    /// Energy of system `i` in eV.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn energy(&self, i: usize) -> Result<f64> {
        let place = self.places[i];
        Ok(self.rows(place.shard, "energy", place.system..place.system + 1)?[0])
    }

    /// Energies of the atoms of system `i` in eV. Shape: `[n_atoms]`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy`].
    pub fn atomic_energies(&self, i: usize) -> Result<Vec<f64>> {
        let place = self.places[i];
        self.rows(place.shard, "atomic_energies", place.first_atom..place.first_atom + place.n_atoms)
    }

    /// Forces on the atoms of system `i` in eV/Å, row-major. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy`].
    pub fn forces(&self, i: usize) -> Result<Vec<f64>> {
        let place = self.places[i];
        self.rows(place.shard, "forces", place.first_atom..place.first_atom + place.n_atoms)
    }

    /// Features of the systems `indices`, one after the other, row-major.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn features(&self, kind: Kind, tap: Tap, indices: &[usize]) -> Result<Vec<f64>> {
        let name = format!("{}.{tap}", kind.key());
        let mut values = Vec::new();
        for &i in indices {
            let place = self.places[i];
            let (first, n) = match kind {
                Kind::Edge => (place.first_edge, place.n_edges),
                _ => (place.first_atom, place.n_atoms),
            };
            values.extend(self.rows(place.shard, &name, first..first + n)?);
        }
        Ok(values)
    }

    /// Rows of a tensor in f64.
    fn rows(&self, shard: usize, name: &str, rows: Range<usize>) -> Result<Vec<f64>> {
        let shard = &self.shards[shard];
        let broken = |what: &str| Error::file(&shard.path, format!("{what} {name}; delete the cache to make it anew"));
        let stored = shard.tensors.get(name).ok_or_else(|| broken("has no tensor"))?;
        let row = stored.width
            * if stored.dtype == Dtype::F64 {
                8
            } else if stored.dtype == Dtype::F32 {
                4
            } else {
                2
            };
        let bytes = shard
            .map
            .get(stored.bytes.clone())
            .and_then(|bytes| bytes.get(rows.start * row..rows.end * row))
            .ok_or_else(|| broken("has too few rows of"))?;
        Ok(match stored.dtype {
            Dtype::F64 => bytes
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .collect(),
            Dtype::F32 => {
                bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
            }
            _ => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
        })
    }
}

/// Edges of each system of a shard; none where another program left them out.
fn stored_counts(bytes: &[u8], tensors: &BTreeMap<String, Stored>) -> Vec<usize> {
    let stored = tensors.get("edge_counts").filter(|t| t.dtype == Dtype::U32);
    let bytes = stored.and_then(|t| bytes.get(t.bytes.clone())).unwrap_or_default();
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize).collect()
}

/// Checks the rows of the labels; the tensors of the shard by name.
fn check_shard(path: &Path, bytes: &[u8], shard: &IndexShard, n_atoms: usize) -> Result<BTreeMap<String, Stored>> {
    let wrong = |m: String| Error::file(path, format!("{m}; delete the cache to make it anew"));
    let broken = |e: safetensors::SafeTensorError| wrong(format!("not a complete shard ({e})"));
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let rows = |name: &str| tensors.tensor(name).ok().and_then(|t| t.shape().first().copied());
    for (name, expected) in [("energy", shard.n_systems), ("atomic_energies", n_atoms), ("forces", n_atoms)] {
        if rows(name) != Some(expected) {
            return Err(wrong(format!("{name}: expected {expected} rows, found {:?}", rows(name))));
        }
    }
    let mut stored = BTreeMap::new();
    // The format: eight bytes with the header's length, the header, the tensors.
    for (name, info) in metadata.tensors() {
        let (start, end) = (8 + header + info.data_offsets.0, 8 + header + info.data_offsets.1);
        let width = info.shape.iter().skip(1).product();
        stored.insert(name, Stored { dtype: info.dtype, width, bytes: start..end });
    }
    Ok(stored)
}

#[expect(unsafe_code, reason = "memory mapping is unsafe where another program may change the file meanwhile")]
fn map_file(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
    // SAFETY: the bytes are only read, every access is bounds-checked, and any bit pattern is a valid number. A
    // cache that is overwritten while it is mapped gives other numbers; potstill itself replaces files by renaming.
    unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, "cannot map", e))
}
