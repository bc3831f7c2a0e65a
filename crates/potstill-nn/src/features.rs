//! Hidden features of a network, returned on request.

use burn::tensor::Tensor;
use potstill_core::model::Tap;

use crate::batch::Batch;
use crate::tensors::{gather_rows, sum_rows};

/// Features at one tap.
#[derive(Debug, Clone)]
pub struct Features {
    /// Tap at which they were taken.
    pub tap: Tap,
    /// Scalar features of each atom. Shape: `[n_atoms, c]`.
    pub node: Tensor<2>,
    /// Vector features of each atom, the three components of all channels one after the other; of PaiNN alone.
    /// Shape: `[n_atoms, 3·c]`.
    pub vector: Option<Tensor<2>>,
    /// Features of each edge; of GemNet-OC alone. Shape: `[n_edges, c]`.
    pub edge: Option<Tensor<2>>,
}

/// Reduction of the features of the edges into an atom to one feature of the atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their sum.
    #[default]
    Sum,
    /// Their mean; zero without edges.
    Mean,
}

impl Features {
    /// Vector features: PaiNN's own, or GemNet-OC's edge features times the direction from source to target, reduced over
    /// the edges into each atom. Shape: `[n_atoms, 3·c]`.
    pub fn vectors(&self, batch: &Batch, reduction: Reduction) -> Option<Tensor<2>> {
        if self.vector.is_some() {
            return self.vector.clone();
        }
        let edge = self.edge.clone()?;
        let (n, c) = (batch.n_edges, edge.dims()[1]);
        let outer = batch.direction.clone().neg().reshape([n, 3, 1]) * edge.reshape([n, 1, c]);
        Some(reduce(outer.reshape([n, 3 * c]), batch, reduction))
    }

    /// Edge features: GemNet-OC's own, or [`edge_features`] of the vectors. Shape: `[n_edges, c]`.
    pub fn edges(&self, batch: &Batch) -> Option<Tensor<2>> {
        self.edge.clone().or_else(|| self.vector.as_ref().map(|vector| edge_features(vector, batch)))
    }

    /// Edge features reduced over the edges into each atom; the scalar features of networks without them.
    /// Shape: `[n_atoms, c]`.
    pub fn reduced_edges(&self, batch: &Batch, reduction: Reduction) -> Tensor<2> {
        match &self.edge {
            Some(edge) => reduce(edge.clone(), batch, reduction),
            None => self.node.clone(),
        }
    }
}

fn reduce(values: Tensor<2>, batch: &Batch, reduction: Reduction) -> Tensor<2> {
    let ones = || batch.zeros([batch.n_edges, 1]).add_scalar(1.0);
    let sum = sum_rows(values, &batch.target, batch.n_atoms);
    match reduction {
        Reduction::Sum => sum,
        Reduction::Mean => sum / sum_rows(ones(), &batch.target, batch.n_atoms).clamp_min(1.0),
    }
}

/// Edge features of a network with vector features: `Σ_xyz v_s ⊙ v_t`, invariant under rotation. Shape: `[n_edges, c]`.
pub fn edge_features(vector: &Tensor<2>, batch: &Batch) -> Tensor<2> {
    let channels = vector.dims()[1] / 3;
    let source = gather_rows(vector.clone(), &batch.source);
    let target = gather_rows(vector.clone(), &batch.target);
    (source * target).reshape([batch.n_edges, 3, channels]).sum_dim(1).reshape([batch.n_edges, channels])
}
