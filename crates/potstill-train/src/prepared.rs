//! Systems made ready for training: graphs and labels in the network's units, once for systems in memory, at each step for
//! systems that stay on disk.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Tensor;
use potstill_core::graph::{Graph, NetworkGraphRule};
use potstill_core::model::EnergyScale;
use potstill_core::{Result, System};
use potstill_data::dataset::{Systems, Visit};
use potstill_nn::Batch;
use potstill_nn::batch::float_tensor;
use rayon::prelude::*;

use crate::loss::Scale;
use crate::mix::Mix;

/// Bytes of graphs that are kept for one set of systems in memory; the graphs of others are drawn anew at each step, with the same
/// result.
const KEPT_GRAPHS: usize = 2 << 30;
/// Bytes of an edge: both ends, shift and displacement.
const EDGE_BYTES: usize = 2 * 4 + 3 * 4 + 3 * 8;

/// One system, ready.
#[derive(Debug, Clone)]
pub struct PreparedSystem {
    /// Its neighbour graph; none where it is drawn anew for each batch: for GemNet-OC, whose quadruplets would not fit into
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
    /// Whether each atom may move. Shape: `[n_atoms]`.
    pub free: Vec<bool>,
    /// What errors call the system.
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

/// A system of a batch, as it was read and as training sees it.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// As read.
    pub system: Cow<'a, System>,
    /// Graph and normalised labels.
    pub prepared: Cow<'a, PreparedSystem>,
}

/// Systems with what training knows of them.
#[derive(Debug)]
pub struct Split {
    systems: Systems,
    /// Those of systems in memory; none for systems on disk.
    prepared: Vec<PreparedSystem>,
    /// Number of atoms that may move.
    n_free: usize,
    /// The first synthetic system, which are the last ones, and how much those count.
    synthetic: Option<(usize, Mix)>,
    rule: NetworkGraphRule,
    scale: EnergyScale,
}

impl Split {
    /// Draws the graphs of systems in memory, in parallel, and normalises their labels; of systems on disk, only the atoms
    /// that may move are counted.
    ///
    /// # Errors
    /// See [`NetworkGraphRule::build`]; names the system by its index in `systems`. A file that cannot be read.
    pub fn new(systems: Systems, rule: &NetworkGraphRule, scale: &EnergyScale) -> Result<Self> {
        let mut split = Self {
            prepared: Vec::new(),
            n_free: 0,
            synthetic: None,
            rule: rule.clone(),
            scale: scale.clone(),
            systems,
        };
        if split.systems.is_in_memory() {
            let kept = AtomicUsize::new(0);
            let keep = |bytes: usize| kept.fetch_add(bytes, Ordering::Relaxed) < KEPT_GRAPHS;
            let indices: Vec<usize> = (0..split.systems.len()).collect();
            let prepared = indices.par_iter().map(|&i| split.prepare(i, &*split.systems.get(i)?, &keep));
            split.prepared = prepared.collect::<Result<_>>()?;
            split.n_free = split.prepared.iter().map(PreparedSystem::n_free).sum();
        } else {
            let mut n_free = 0;
            split.systems.visit(&mut |_, system| {
                n_free += (0..system.n_atoms()).filter(|&atom| system.is_free(atom)).count();
                Ok(())
            })?;
            split.n_free = n_free;
        }
        Ok(split)
    }

    /// The same where the systems from `first` on are synthetic.
    #[must_use]
    pub fn with_synthetic(self, first: usize, mix: Mix) -> Self {
        Self { synthetic: Some((first, mix)), ..self }
    }

    /// The first synthetic system and how many of them an epoch visits.
    pub fn synthetic(&self) -> Option<(usize, Mix)> {
        self.synthetic
    }

    /// Weights of the systems of a batch; none when all count alike.
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

    /// Those in memory as training sees them; empty for systems on disk.
    pub fn prepared(&self) -> &[PreparedSystem] {
        &self.prepared
    }

    /// The systems.
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

    /// Another system in the place of system `index`, such as a copy whose atoms were moved.
    ///
    /// # Errors
    /// As [`Split::new`].
    pub fn member(&self, index: usize, system: System) -> Result<Member<'static>> {
        let prepared = Cow::Owned(self.prepare(index, &system, &|_| true)?);
        Ok(Member { system: Cow::Owned(system), prepared })
    }

    /// How graphs are drawn.
    pub fn rule(&self) -> &NetworkGraphRule {
        &self.rule
    }

    /// `keep` tells whether a graph of so many bytes is worth keeping.
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
            free: (0..system.n_atoms()).map(|i| system.is_free(i)).collect(),
            label,
        })
    }
}

/// How much each system of a batch counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemWeights {
    /// For losses against labels.
    pub labels: Vec<f64>,
    /// For losses against the teacher.
    pub terms: Vec<f64>,
}

/// What the rows of a loss are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One for each system.
    Systems,
    /// One for each atom.
    Atoms,
    /// One for each edge.
    Edges,
}

/// Some systems of a batch that one thread works on.
pub struct Shard<'a> {
    /// Which of the split's systems they are.
    pub indices: Vec<usize>,
    /// The systems.
    pub members: Vec<&'a Member<'a>>,
    /// How much they count; none when all count alike.
    pub weights: Option<SystemWeights>,
}

impl<'a> Shard<'a> {
    /// The systems with these indices.
    pub fn new(indices: Vec<usize>, members: impl IntoIterator<Item = &'a Member<'a>>) -> Self {
        Self { indices, members: members.into_iter().collect(), weights: None }
    }

    /// What a loss against labels, whose rows would all count `scale`, is multiplied by.
    pub fn label_scale(&self, rows: Rows, scale: f64, batch: &Batch) -> Scale {
        self.scale(self.weights.as_ref().map(|w| &w.labels), rows, scale, batch)
    }

    /// The same for a loss against the teacher.
    pub fn term_scale(&self, rows: Rows, scale: f64, batch: &Batch) -> Scale {
        self.scale(self.weights.as_ref().map(|w| &w.terms), rows, scale, batch)
    }

    fn scale(&self, weights: Option<&Vec<f64>>, rows: Rows, scale: f64, batch: &Batch) -> Scale {
        let Some(weights) = weights else { return Scale::Even(scale) };
        let n_rows = |system: &PreparedSystem| match rows {
            Rows::Systems => 1,
            Rows::Atoms => system.n_atoms,
            Rows::Edges => system.n_edges,
        };
        let each = weights.iter().zip(self.prepared());
        let values: Vec<f64> = each.flat_map(|(w, system)| std::iter::repeat_n(scale * w, n_rows(system))).collect();
        let n = values.len();
        Scale::Rows(float_tensor(values, [n, 1], &batch.device, batch.dtype))
    }

    /// Energies of the systems, normalised; none when one is missing that counts.
    pub fn energies(&self) -> Option<Vec<f64>> {
        self.labelled(|system| system.energy, |_| 0.0)
    }

    /// Forces of the systems, normalised; none when some are missing that count.
    pub fn forces(&self) -> Option<Vec<Cow<'a, [[f64; 3]]>>> {
        self.labelled(
            |system| system.forces.as_deref().map(Cow::Borrowed),
            |system| Cow::Owned(vec![[0.0; 3]; system.n_atoms]),
        )
    }

    /// `without` stands in for labels that are missing and do not count.
    fn labelled<V>(
        &self,
        label: impl Fn(&'a PreparedSystem) -> Option<V>,
        without: impl Fn(&'a PreparedSystem) -> V,
    ) -> Option<Vec<V>> {
        let counts = |k: usize| self.weights.as_ref().is_none_or(|w| w.labels.get(k).is_none_or(|&w| w != 0.0));
        let one = |(k, system): (usize, &'a PreparedSystem)| match label(system) {
            None if !counts(k) => Some(without(system)),
            found => found,
        };
        self.prepared().enumerate().map(one).collect()
    }

    /// As they were read.
    pub fn systems(&self) -> Vec<&System> {
        self.members.iter().map(|member| member.system.as_ref()).collect()
    }

    /// As training sees them.
    pub fn prepared(&self) -> impl Iterator<Item = &'a PreparedSystem> + use<'a, '_> {
        self.members.iter().map(|member| member.prepared.as_ref())
    }

    /// 1 for each atom that may move, 0 for others. Shape: `[n_atoms, 1]`.
    pub fn free_mask(&self, batch: &Batch) -> Tensor<2> {
        let free = self.prepared().flat_map(|s| s.free.iter().map(|&f| if f { 1.0 } else { 0.0 })).collect();
        float_tensor(free, [batch.n_atoms, 1], &batch.device, batch.dtype)
    }
}
