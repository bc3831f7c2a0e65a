//! Part of a batch, with the weights of its systems.

use std::borrow::Cow;

use burn::tensor::Tensor;
use potstill_core::System;
use potstill_nn::Batch;
use potstill_nn::tensors::float_tensor;

use super::{Member, PreparedSystem};
use crate::loss::Scale;

/// Weights of the systems of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemWeights {
    /// Weights in losses against labels.
    pub labels: Vec<f64>,
    /// Weights in losses against the teacher.
    pub terms: Vec<f64>,
}

/// Kind of the rows of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// A row for each system.
    Systems,
    /// A row for each atom.
    Atoms,
    /// A row for each edge.
    Edges,
}

/// Part of a batch that one thread works on.
pub struct Shard<'a> {
    /// Indices of the systems in their split.
    pub indices: Vec<usize>,
    /// Systems of the shard.
    pub members: Vec<&'a Member<'a>>,
    /// Weights of the systems; none when all are equal.
    pub weights: Option<SystemWeights>,
}

impl<'a> Shard<'a> {
    /// Shard of some systems with their indices.
    pub fn new(indices: Vec<usize>, members: impl IntoIterator<Item = &'a Member<'a>>) -> Self {
        Self { indices, members: members.into_iter().collect(), weights: None }
    }

    /// Factor of each row of a loss against labels, which is `scale` without weights.
    pub fn label_scale(&self, rows: Rows, scale: f64, batch: &Batch) -> Scale {
        self.scale(self.weights.as_ref().map(|w| &w.labels), rows, scale, batch)
    }

    /// Factor of each row of a loss against the teacher, which is `scale` without weights.
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

    /// Normalised energies of the systems; none when one is missing whose weight is not 0.
    pub fn energies(&self) -> Option<Vec<f64>> {
        self.labelled(|system| system.energy, |_| 0.0)
    }

    /// Normalised forces of the systems; none when some are missing whose weight is not 0.
    pub fn forces(&self) -> Option<Vec<Cow<'a, [[f64; 3]]>>> {
        self.labelled(
            |system| system.forces.as_deref().map(Cow::Borrowed),
            |system| Cow::Owned(vec![[0.0; 3]; system.n_atoms]),
        )
    }

    /// Normalised virials per atom, and a factor for those of a model: one over the number of atoms, 0 where there is no label.
    /// None when no system has one.
    pub fn virials(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let one = |system: &PreparedSystem| match system.virial {
            Some(virial) => (virial, 1.0 / system.n_atoms as f64),
            None => ([0.0; 9], 0.0),
        };
        let (virials, factors): (Vec<[f64; 9]>, Vec<f64>) = self.prepared().map(one).unzip();
        factors.iter().any(|&factor| factor > 0.0).then(|| (virials.into_flattened(), factors))
    }

    /// Labels of the systems, where `without` stands in for missing labels of weight 0.
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

    /// Systems as they were read.
    pub fn systems(&self) -> Vec<&System> {
        self.members.iter().map(|member| member.system.as_ref()).collect()
    }

    /// Systems as training sees them.
    pub fn prepared(&self) -> impl Iterator<Item = &'a PreparedSystem> + use<'a, '_> {
        self.members.iter().map(|member| member.prepared.as_ref())
    }

    /// 1 for each atom that may move, 0 for others. Shape: `[n_atoms, 1]`.
    pub fn free_mask(&self, batch: &Batch) -> Tensor<2> {
        let free = self.prepared().flat_map(|s| s.free.iter().map(|&f| if f { 1.0 } else { 0.0 })).collect();
        float_tensor(free, [batch.n_atoms, 1], &batch.device, batch.dtype)
    }
}
