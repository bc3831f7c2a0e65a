//! How a student's features are compared with its teacher's: one way to a file.
//!
//! Each gives the share of one shard in the mean over a whole batch, so that shards add up to the batch; only [`cka`] is not
//! a mean and says what it does instead.

pub mod cka;
pub mod geometric;
pub mod global;
pub mod local;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};
use potstill_nn::Batch;

/// Which atoms of a shard belong together.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Number of atoms of each system of the shard.
    pub sizes: Vec<usize>,
    /// How much each system of the shard counts; all alike without. [`cka`], which is no mean, does not mind.
    pub weights: Option<Vec<f64>>,
    /// Systems of the whole batch.
    pub systems: f64,
    /// Atoms of the whole batch.
    pub atoms: f64,
    /// Edges of the whole batch.
    pub edges: f64,
    /// Source of each edge of the shard. Shape: `[n_edges]`.
    pub source: Tensor<1, Int>,
    /// Target of each edge. Shape: `[n_edges]`.
    pub target: Tensor<1, Int>,
}

impl Groups {
    /// Those of a batch that is a shard of one with the given counts.
    pub fn new(batch: &Batch, (systems, atoms, edges): (f64, f64, f64)) -> Self {
        let mut sizes = vec![0; batch.n_systems];
        for system in batch.system_index.to_data().iter::<i64>() {
            if let Some(size) = usize::try_from(system).ok().and_then(|s| sizes.get_mut(s)) {
                *size += 1;
            }
        }
        let (source, target) = (batch.source.clone(), batch.target.clone());
        Self { sizes, weights: None, systems, atoms, edges, source, target }
    }

    /// The same where systems count differently.
    #[must_use]
    pub fn weighted(self, weights: Option<Vec<f64>>) -> Self {
        Self { weights, ..self }
    }

    /// How much a system of the shard counts.
    fn weight(&self, system: usize) -> f64 {
        self.weights.as_ref().and_then(|weights| weights.get(system)).copied().unwrap_or(1.0)
    }

    /// A number for each atom, from the place and the size of its system.
    fn of_atoms(&self, number: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let systems = self.sizes.iter().enumerate();
        systems.flat_map(|(system, &n)| std::iter::repeat_n(number(system, n), n)).collect()
    }

    /// The weight of each atom in a mean over systems of means over their atoms.
    fn atom_weights(&self) -> Vec<f64> {
        self.of_atoms(|system, n| self.weight(system) / (n as f64 * self.systems))
    }
}

/// A column of constants beside `like`. Shape: `[n, 1]`.
fn column(values: Vec<f64>, like: &Tensor<2>) -> Tensor<2> {
    let n = values.len();
    potstill_nn::tensors::float_tensor(values, [n, 1], &like.device(), like.dtype())
}
