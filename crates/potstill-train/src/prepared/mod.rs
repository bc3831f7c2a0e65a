//! Systems as training sees them, with graphs and labels in the network's units: prepared once for systems in memory, at each
//! step for systems on disk.

mod shard;

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use potstill_core::graph::{Graph, NetworkGraphRule};
use potstill_core::model::EnergyScale;
use potstill_core::system::Mat3;
use potstill_core::{Result, System};
use potstill_data::dataset::{Survey, Systems, Visit};
use rayon::prelude::*;

use crate::mix::Mix;

pub use shard::{Rows, Shard, SystemWeights};

/// Bytes of graphs that are held in memory for one set of systems; other graphs are drawn at each step, with the same result.
const GRAPH_BYTES: usize = 2 << 30;
/// Bytes of an edge: both ends, shift and displacement.
const EDGE_BYTES: usize = 2 * 4 + 3 * 4 + 3 * 8;

/// One system with its graph and its labels in the network's units.
#[derive(Debug, Clone)]
pub struct PreparedSystem {
    /// Neighbour graph; none where it is drawn for each batch: for GemNet-OC, whose quadruplets would not fit into
    /// memory and cost little beside what it does with them, and for what is beyond 2 GiB of graphs.
    pub graph: Option<Graph>,
    /// Number of atoms.
    pub n_atoms: usize,
    /// Number of directed edges.
    pub n_edges: usize,
    /// Energy less reference energies, normalised.
    pub energy: Option<f64>,
    /// Forces, normalised. Shape: `[n_atoms, 3]`.
    pub forces: Option<Vec<[f64; 3]>>,
    /// Virial per atom from the stress of a system with a cell, normalised, row-major.
    pub virial: Option<[f64; 9]>,
    /// Whether each atom may move. Shape: `[n_atoms]`.
    pub free: Vec<bool>,
    /// Name of the system in errors.
    pub label: String,
}

impl PreparedSystem {
    /// Number of atoms that enter the force loss.
    pub fn n_free(&self) -> usize {
        self.free.iter().filter(|&&f| f).count()
    }

    /// Cost of a step on this system, for dividing a batch among threads.
    pub fn cost(&self) -> usize {
        self.n_edges + 8 * self.n_atoms
    }
}

/// System of a batch, as it was read and as training sees it.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// System as it was read.
    pub system: Cow<'a, System>,
    /// Graph and normalised labels.
    pub prepared: Cow<'a, PreparedSystem>,
}

/// Systems that are trained or validated on, prepared.
#[derive(Debug)]
pub struct Split {
    systems: Systems,
    /// Systems in memory as training sees them; empty for systems on disk.
    prepared: Vec<PreparedSystem>,
    /// Number of atoms that may move.
    n_free: usize,
    /// Number of systems with a virial.
    n_virials: usize,
    /// Index of the first synthetic system, all of which come last, and their weight.
    synthetic: Option<(usize, Mix)>,
    rule: NetworkGraphRule,
    scale: EnergyScale,
}

impl Split {
    /// As [`Split::surveyed`], after a pass over the systems.
    ///
    /// # Errors
    /// As [`Split::surveyed`]; a file that cannot be read.
    pub fn new(systems: Systems, rule: &NetworkGraphRule, scale: &EnergyScale) -> Result<Self> {
        let survey = Survey::of(&systems)?;
        Self::surveyed(systems, &[&survey], rule, scale)
    }

    /// Draws the graphs of systems in memory, in parallel, and normalises their labels; systems on disk are not read. `surveys` are
    /// those of consecutive parts of the systems.
    ///
    /// # Errors
    /// See [`NetworkGraphRule::build`]; names the system by its index in `systems`.
    pub fn surveyed(
        systems: Systems,
        surveys: &[&Survey],
        rule: &NetworkGraphRule,
        scale: &EnergyScale,
    ) -> Result<Self> {
        let mut split = Self {
            prepared: Vec::new(),
            n_free: surveys.iter().map(|survey| survey.n_free).sum(),
            n_virials: surveys.iter().map(|survey| survey.n_virials).sum(),
            synthetic: None,
            rule: rule.clone(),
            scale: scale.clone(),
            systems,
        };
        if split.systems.is_in_memory() {
            let kept = AtomicUsize::new(0);
            let keep = |bytes: usize| kept.fetch_add(bytes, Ordering::Relaxed) < GRAPH_BYTES;
            let indices: Vec<usize> = (0..split.systems.len()).collect();
            let prepared = indices.par_iter().map(|&i| split.prepare(i, &*split.systems.get(i)?, &keep));
            split.prepared = prepared.collect::<Result<_>>()?;
        }
        Ok(split)
    }

    /// Marks the systems from `first` on as synthetic.
    #[must_use]
    pub fn with_synthetic(self, first: usize, mix: Mix) -> Self {
        Self { synthetic: Some((first, mix)), ..self }
    }

    /// Index of the first synthetic system, and the share of synthetic ones in an epoch.
    pub fn synthetic(&self) -> Option<(usize, Mix)> {
        self.synthetic
    }

    /// Weights of the systems of a batch; none when all are equal.
    pub fn weights(&self, batch: &[usize]) -> Option<SystemWeights> {
        let (first, mix) = self.synthetic?;
        let n_synthetic = batch.iter().filter(|&&i| i >= first).count();
        let n_other = batch.len() - n_synthetic;
        let of =
            |(other, synthetic): (f64, f64)| batch.iter().map(|&i| if i < first { other } else { synthetic }).collect();
        Some(SystemWeights {
            labels: of(mix.label_weights(n_other, n_synthetic)),
            terms: of(mix.term_weights(n_other, n_synthetic)),
        })
    }

    /// Systems in memory as training sees them; empty for systems on disk.
    pub fn prepared(&self) -> &[PreparedSystem] {
        &self.prepared
    }

    /// Systems as they were read.
    pub fn systems(&self) -> &Systems {
        &self.systems
    }

    /// Number of atoms that may move.
    pub fn n_free(&self) -> usize {
        self.n_free
    }

    /// Systems `indices` as training sees them, read and prepared in parallel when they are on disk.
    ///
    /// # Errors
    /// As [`Split::new`].
    pub fn members(&self, indices: &[usize]) -> Result<Vec<Member<'_>>> {
        let member = |&i: &usize| {
            let system = self.systems.get(i)?;
            let prepared = match self.prepared.get(i) {
                Some(prepared) => Cow::Borrowed(prepared),
                None => Cow::Owned(self.prepare(i, &system, &|_| true)?),
            };
            Ok(Member { system, prepared })
        };
        if self.systems.is_in_memory() {
            return indices.iter().map(member).collect();
        }
        let members: Vec<Result<Member<'_>>> = indices.par_iter().map(member).collect();
        members.into_iter().collect()
    }

    /// Prepares another system in the place of system `index`, such as a copy whose atoms were moved.
    ///
    /// # Errors
    /// As [`Split::new`].
    pub fn member(&self, index: usize, system: System) -> Result<Member<'static>> {
        let prepared = Cow::Owned(self.prepare(index, &system, &|_| true)?);
        Ok(Member { system: Cow::Owned(system), prepared })
    }

    /// Number of systems with a virial.
    pub fn n_virials(&self) -> usize {
        self.n_virials
    }

    /// Rule by which graphs are drawn.
    pub fn rule(&self) -> &NetworkGraphRule {
        &self.rule
    }

    /// Draws the graph of a system and normalises its labels; `keep` tells whether a graph of so many bytes is held.
    fn prepare(&self, index: usize, system: &System, keep: &dyn Fn(usize) -> bool) -> Result<PreparedSystem> {
        let graph = self.rule.build_main(&[system]).map_err(|e| self.systems.locate(e.shifted(index)))?;
        let n_edges = graph.n_edges();
        let pairs = !matches!(self.rule, NetworkGraphRule::GemNet(_));
        let graph = (pairs && keep(n_edges * EDGE_BYTES)).then_some(graph);
        let energy = match system.energy {
            Some(energy) => Some(self.scale.raw_energy(energy, &system.atomic_numbers)?),
            None => None,
        };
        let normalize = |force: &[f64; 3]| self.scale.raw_force(*force);
        let label = system.name().map_or_else(|| index.to_string(), |name| format!("{index} ({name})"));
        Ok(PreparedSystem {
            graph,
            n_atoms: system.n_atoms(),
            n_edges,
            energy,
            forces: system.forces.as_ref().map(|forces| forces.iter().map(normalize).collect()),
            virial: virial(system).map(|virial| {
                let raw = self.scale.raw_virial(virial);
                std::array::from_fn(|k| raw[k / 3][k % 3] / system.n_atoms() as f64)
            }),
            free: (0..system.n_atoms()).map(|i| system.is_free(i)).collect(),
            label,
        })
    }
}

/// Virial in eV from the stress of a system; none without a cell.
fn virial(system: &System) -> Option<Mat3> {
    let volume = system.volume().filter(|&volume| volume > 0.0)?;
    Some(system.stress?.map(|row| row.map(|s| -volume * s)))
}
