//! Systems of a shard, for losses that compare atoms with the other atoms of their system.
//!
//! Such a loss gives the share of one shard in the mean over a whole batch, so that shards add up to the batch.

use burn::tensor::Tensor;
use potstill_nn::Batch;
use potstill_nn::tensors::RowIndex;

/// Sizes and weights of the systems of a shard, with their edges.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Number of atoms of each system of the shard.
    pub sizes: Vec<usize>,
    /// Weight of each system of the shard; all equal without. Centred kernel alignment, which is no mean, ignores it.
    pub weights: Option<Vec<f64>>,
    /// Systems of the whole batch.
    pub systems: f64,
    /// Atoms of the whole batch.
    pub atoms: f64,
    /// Edges of the whole batch.
    pub edges: f64,
    /// Source of each edge of the shard. Shape: `[n_edges]`.
    pub source: RowIndex,
    /// Target of each edge. Shape: `[n_edges]`.
    pub target: RowIndex,
}

impl Groups {
    /// Systems of a batch that is a shard of a larger one with these counts of systems, atoms and edges.
    pub fn new(batch: &Batch, (systems, atoms, edges): (f64, f64, f64)) -> Self {
        let sizes = batch.sizes.clone();
        let (source, target) = (batch.source.clone(), batch.target.clone());
        Self { sizes, weights: None, systems, atoms, edges, source, target }
    }

    /// Sets the weight of each system.
    #[must_use]
    pub fn weighted(self, weights: Option<Vec<f64>>) -> Self {
        Self { weights, ..self }
    }

    /// Weight of a system of the shard.
    pub(super) fn weight(&self, system: usize) -> f64 {
        self.weights.as_ref().and_then(|weights| weights.get(system)).copied().unwrap_or(1.0)
    }

    /// Number for each atom, from the index and the size of its system.
    pub(super) fn of_atoms(&self, number: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let systems = self.sizes.iter().enumerate();
        systems.flat_map(|(system, &n)| std::iter::repeat_n(number(system, n), n)).collect()
    }

    /// Weight of each atom in a mean over systems of means over their atoms.
    pub(super) fn atom_weights(&self) -> Vec<f64> {
        self.of_atoms(|system, n| self.weight(system) / (n as f64 * self.systems))
    }
}

/// Column of constants on the device of `like`. Shape: `[n, 1]`.
pub(super) fn column(values: Vec<f64>, like: &Tensor<2>) -> Tensor<2> {
    let n = values.len();
    potstill_nn::tensors::float_tensor(values, [n, 1], &like.device(), like.dtype())
}
