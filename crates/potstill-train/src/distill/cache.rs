//! What a teacher says of a dataset, asked once and kept in files.
//!
//! A cache is a folder: `index.json` and shards `shard-00000.safetensors`, memory-mapped when read. Each shard holds,
//! for some systems in dataset order,
//!
//! - `energy` `[n_systems]` (f64, eV), `atomic_energies` `[n_atoms]` (f64, eV), `forces` `[n_atoms, 3]` (f32, eV/Å), those of
//!   them that the teacher has;
//! - `energy_spread` `[n_systems]` and `forces_spread` `[n_atoms]` (f64) where several networks were asked;
//! - for each tap that was asked for, `node.<tap>` `[n_atoms, c]`, `edge_sum.<tap>` `[n_atoms, c']`, `vector.<tap>`
//!   `[n_atoms, 3·c']` and `edge.<tap>` `[n_edges, c']` in f16 or f32. Edges are those of the teacher's main graph, sorted by
//!   target, source and shift; `edge_counts` `[n_systems]` (u32) says how many each system has;
//! - `probe.<k>` `[n_atoms, 3]` (f32, eV/Å²), the derivative of the forces along probe `k`
//!
//! or everything in f64. The index names the dataset and the teacher by hash, and says which of these there are.
//!
//! Any program can write the same files. The least that an `index.json` must say, with an empty `structure_hash` for a dataset
//! that is not checked beyond its numbers of systems and atoms:
//!
//! ```json
//! {"format_version": 3, "structure_hash": "", "teacher_hash": "any name", "precision": "f32",
//!  "holds": {"energy": true, "forces": true, "atomic_energies": false}, "taps": [],
//!  "shards": [{"file": "shard-00000.safetensors", "n_systems": 2, "n_atoms": 21}]}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::f16;
use memmap2::Mmap;
use potstill_core::dataset::{DatasetHash, Systems, Visit};
use potstill_core::io::write_atomically;
use potstill_core::{Error, Result};
use potstill_nn::checkpoint::{Tensors, write_tensors};
use potstill_nn::{Architecture, Tap};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::probes::Probes;
use super::teacher::{Answer, Answering, Teacher};

/// Version of the layout.
const FORMAT_VERSION: u64 = 3;
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

    /// Name of the tensor that holds such features.
    pub(super) fn tensor(self, tap: Tap) -> String {
        format!("{}.{tap}", self.key())
    }
}

/// Which labels a teacher gives for every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// Energies of systems. Default true.
    pub energy: bool,
    /// Forces. Default true.
    pub forces: bool,
    /// Energies of atoms. Default true.
    pub atomic_energies: bool,
    /// How far several teachers are apart in energies and forces. Default false.
    pub spread: bool,
}

impl Default for Holds {
    fn default() -> Self {
        Self { energy: true, forces: true, atomic_energies: true, spread: false }
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
    /// Empty where another program did not tell.
    structure_hash: String,
    teacher_hash: String,
    /// The network whose features these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    teacher: Option<Box<Architecture>>,
    precision: Precision,
    #[serde(default)]
    holds: Holds,
    taps: Vec<IndexTap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probes: Option<Probes>,
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

/// What is wanted of a teacher beside energies and forces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Questions {
    /// Features.
    pub features: Vec<Wanted>,
    /// Derivatives of the forces.
    pub probes: Option<Probes>,
    /// Precision of the features.
    pub precision: Precision,
}

/// Opens the cache in `folder` when it fits, else asks the teacher and writes it. A teacher that is a cache itself is opened
/// where it is.
///
/// `progress` hears how many systems are done. A killed run keeps its finished shards.
///
/// # Errors
/// A cache of another dataset or teacher, elements that the teacher does not know, labels that do not belong to the dataset,
/// features too large for f16, and what the file system says.
pub fn open_or_make(
    folder: &Path,
    teacher: &Teacher,
    systems: &Systems,
    questions: &Questions,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(TeacherCache, Origin)> {
    let mut hash = DatasetHash::structures(systems.len());
    systems.visit(&mut |_, system| {
        hash.add(system);
        Ok(())
    })?;
    let structure_hash = hash.finish();
    if let Teacher::Cache(made, _) = teacher {
        return Ok((existing(made, systems, questions, &structure_hash)?, Origin::Reused));
    }
    let teacher_hash = teacher.hash(systems)?;
    let mut questions = Cow::Borrowed(questions);
    if folder.join("index.json").exists() {
        let found = read_index(folder)?;
        check_same(folder, &found, &structure_hash, &teacher_hash)?;
        if missing(&found, &questions).is_none() && found.precision == questions.precision {
            return Ok((TeacherCache::open(folder, found, systems)?, Origin::Reused));
        }
        // Runs that share the folder and want different things must not take turns in making it.
        keep_questions(questions.to_mut(), &found);
    }
    let answering = teacher.about(systems)?;
    let index = plan(teacher, &answering, systems, &questions, structure_hash, teacher_hash);
    make(folder, &answering, &questions, &index, progress)?;
    Ok((TeacherCache::open(folder, index, systems)?, Origin::Made))
}

/// A cache that is the teacher.
fn existing(folder: &Path, systems: &Systems, questions: &Questions, structure_hash: &str) -> Result<TeacherCache> {
    let found = read_index(folder)?;
    if !(found.structure_hash.is_empty() || found.structure_hash == structure_hash) {
        let message = "holds what a teacher said of other systems than these (data.train without isolated atoms, then \
                       data.synthetic); label these";
        return Err(Error::file(folder, message));
    }
    if let Some(missing) = missing(&found, questions) {
        return Err(Error::file(
            folder,
            format!("holds no {missing}; label again with it, or give the network itself"),
        ));
    }
    TeacherCache::open(folder, found, systems)
}

/// The network whose features a cache holds.
///
/// # Errors
/// No readable index.
pub(super) fn architecture(folder: &Path) -> Result<Option<Box<Architecture>>> {
    Ok(read_index(folder)?.teacher)
}

fn plan(
    teacher: &Teacher,
    answering: &Answering<'_>,
    systems: &Systems,
    questions: &Questions,
    structure_hash: String,
    teacher_hash: String,
) -> Index {
    let architecture = teacher.architecture();
    let (node_channels, edge_channels) =
        architecture.map_or((0, 0), |model| (model.node_channels(), reduced_channels(model)));
    let tap = |w: &Wanted| IndexTap { tap: w.tap.to_string(), node_channels, edge_channels, kinds: w.kinds.clone() };
    let mut shards: Vec<IndexShard> = Vec::new();
    for part in systems.batches(ATOMS_PER_SHARD) {
        let file = format!("shard-{:05}.safetensors", shards.len());
        let n_atoms = part.clone().map(|i| systems.n_atoms(i)).sum();
        shards.push(IndexShard { file, n_systems: part.len(), n_atoms });
    }
    Index {
        format_version: FORMAT_VERSION,
        structure_hash,
        teacher_hash,
        teacher: architecture.cloned().map(Box::new),
        precision: questions.precision,
        holds: answering.holds(),
        taps: questions.features.iter().map(tap).collect(),
        probes: questions.probes,
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

fn check_same(folder: &Path, found: &Index, structure_hash: &str, teacher_hash: &str) -> Result<()> {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let other = |what: &str, found: &str, expected: &str| {
        let message = format!(
            "holds what a teacher said of {what} {}, not {}; give another folder as `distill.cache` or delete this one",
            short(found),
            short(expected)
        );
        Err(Error::file(folder, message))
    };
    if found.structure_hash != structure_hash {
        return other("dataset", &found.structure_hash, structure_hash);
    }
    if found.teacher_hash != teacher_hash {
        return other("this dataset by teacher", &found.teacher_hash, teacher_hash);
    }
    Ok(())
}

/// The first thing that is asked for and not in a cache, in words.
fn missing(found: &Index, questions: &Questions) -> Option<String> {
    for wanted in &questions.features {
        let name = wanted.tap.to_string();
        let held = found.taps.iter().filter(|f| f.tap == name).flat_map(|f| &f.kinds);
        let lacking = wanted.kinds.iter().find(|kind| !held.clone().any(|held| held == *kind));
        if let Some(kind) = lacking {
            return Some(format!("{} features of {name}", kind.key()));
        }
    }
    let has_probes = questions.probes.is_none() || found.probes == questions.probes;
    (!has_probes).then(|| "derivatives of the forces with these probes".to_owned())
}

/// What an older index holds comes first, so that its finished shards keep their order of tensors.
fn keep_questions(questions: &mut Questions, found: &Index) {
    let mut all: Vec<Wanted> = Vec::new();
    for held in &found.taps {
        if let Ok(tap) = held.tap.parse() {
            Wanted::add(&mut all, tap, &held.kinds);
        }
    }
    for w in questions.features.drain(..) {
        Wanted::add(&mut all, w.tap, &w.kinds);
    }
    questions.features = all;
    questions.probes = questions.probes.or(found.probes);
}

fn make(
    folder: &Path,
    answering: &Answering<'_>,
    questions: &Questions,
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
            let batches = answering.batches(first..first + shard.n_systems, ATOMS_PER_BATCH).into_par_iter();
            let answer = |part| answering.answer(part, &questions.features, questions.probes.as_ref());
            let answers: Vec<Answer> = batches.map(answer).collect::<Result<_>>()?;
            write_tensors(&path, "plan", &key, &pack(&answers, index)?)?;
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

/// The tensors of a shard.
fn pack(answers: &[Answer], index: &Index) -> Result<Tensors> {
    let exact = |name: &str, of: fn(&Answer) -> &[f64]| {
        let values: Vec<f64> = answers.iter().flat_map(|answer| of(answer).iter().copied()).collect();
        (name.to_owned(), Dtype::F64, vec![values.len()], bytemuck::cast_slice(&values).to_vec())
    };
    let holds = index.holds;
    let mut tensors: Tensors = Vec::new();
    if holds.energy {
        tensors.push(exact("energy", |a| &a.energy));
    }
    if holds.atomic_energies {
        tensors.push(exact("atomic_energies", |a| &a.atomic_energies));
    }
    // Also where features are in f16: forces are compared with labels.
    let at_least_single = if index.precision == Precision::F64 { Precision::F64 } else { Precision::F32 };
    if holds.forces {
        let forces = answers.iter().flat_map(|a| a.forces.as_flattened().iter().copied());
        tensors.push(rounded("forces", 3, forces, at_least_single)?);
    }
    if holds.spread {
        tensors.push(exact("energy_spread", |a| &a.energy_spread));
        tensors.push(exact("forces_spread", |a| &a.forces_spread));
    }
    for probe in 0..index.probes.map_or(0, |probes| probes.n) {
        let values = answers.iter().flat_map(|a| a.probes.get(probe).into_iter().flatten().copied());
        tensors.push(rounded(&probe_name(probe), 3, values, at_least_single)?);
    }
    let counts: Vec<u32> = answers.iter().flat_map(|a| a.edge_counts.iter().copied()).collect();
    if !counts.is_empty() {
        tensors.push(("edge_counts".into(), Dtype::U32, vec![counts.len()], bytemuck::cast_slice(&counts).to_vec()));
    }
    for (k, (name, width, _)) in answers.first().into_iter().flat_map(|a| a.features.iter().enumerate()) {
        let values = answers.iter().flat_map(|a| a.features[k].2.iter().copied());
        tensors.push(rounded(name, *width, values, index.precision)?);
    }
    Ok(tensors)
}

fn probe_name(probe: usize) -> String {
    format!("probe.{probe}")
}

/// A tensor in that precision.
fn rounded(
    name: &str,
    width: usize,
    values: impl Iterator<Item = f64>,
    precision: Precision,
) -> Result<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let values: Vec<f64> = values.collect();
    let shape = vec![values.len() / width, width];
    let (dtype, bytes) = match precision {
        Precision::F64 => (Dtype::F64, bytemuck::cast_slice(&values).to_vec()),
        Precision::F32 => {
            let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            (Dtype::F32, bytemuck::cast_slice(&narrow).to_vec())
        }
        Precision::F16 => {
            if let Some(large) = values.iter().find(|v| v.abs() > F16_MAX) {
                let message = format!("teacher feature {large:e} at {name} does not fit into f16; use `f32`");
                return Err(Error::setting("distill.feature_precision", message));
            }
            (Dtype::F16, values.iter().flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect())
        }
    };
    Ok((name.to_owned(), dtype, shape, bytes))
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
            let tensors = check_shard(&path, &map, shard, first_atom, index.holds)?;
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

    /// Which labels there are.
    pub fn holds(&self) -> Holds {
        self.index.holds
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
        self.of_atoms(i, "atomic_energies")
    }

    /// Forces on the atoms of system `i` in eV/Å, row-major. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy`].
    pub fn forces(&self, i: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, "forces")
    }

    /// Standard deviation in eV of the energies that several teachers gave system `i`.
    ///
    /// # Errors
    /// A shard that lacks a tensor, as where one teacher was asked.
    pub fn energy_spread(&self, i: usize) -> Result<f64> {
        let place = self.places[i];
        Ok(self.rows(place.shard, "energy_spread", place.system..place.system + 1)?[0])
    }

    /// Root mean square distance in eV/Å of the forces of several teachers from their mean, for each atom of system `i`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy_spread`].
    pub fn forces_spread(&self, i: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, "forces_spread")
    }

    /// Derivative of the forces on the atoms of system `i` along a probe, in eV/Å², row-major. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn force_derivative(&self, i: usize, probe: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, &probe_name(probe))
    }

    fn of_atoms(&self, i: usize, name: &str) -> Result<Vec<f64>> {
        let place = self.places[i];
        self.rows(place.shard, name, place.first_atom..place.first_atom + place.n_atoms)
    }

    /// Features of the systems `indices`, one after the other, row-major.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn features(&self, kind: Kind, tap: Tap, indices: &[usize]) -> Result<Vec<f64>> {
        let name = kind.tensor(tap);
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
fn check_shard(
    path: &Path,
    bytes: &[u8],
    shard: &IndexShard,
    n_atoms: usize,
    holds: Holds,
) -> Result<BTreeMap<String, Stored>> {
    let wrong = |m: String| Error::file(path, format!("{m}; delete the cache to make it anew"));
    let broken = |e: safetensors::SafeTensorError| wrong(format!("not a complete shard ({e})"));
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let rows = |name: &str| tensors.tensor(name).ok().and_then(|t| t.shape().first().copied());
    for (name, is_there, expected) in [
        ("energy", holds.energy, shard.n_systems),
        ("atomic_energies", holds.atomic_energies, n_atoms),
        ("forces", holds.forces, n_atoms),
    ] {
        if is_there && rows(name) != Some(expected) {
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
