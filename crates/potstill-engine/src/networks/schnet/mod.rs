//! SchNet (Schütt et al., NeurIPS 2017, arXiv 1706.08566), forward and backward.
//!
//! Equations as in `potstill-nn`, with `σ(x) = ln(½ eˣ + ½)`. A block is
//!
//! ```text
//! y_j = W_x x_j
//! m_i = W_m Σ_j y_j ∘ w(d) + b_m                    (over the edges into i)
//! x_i ← x_i + W_o σ(m_i) + b_o
//! ```
//!
//! where the filters `w` contain the cosine cutoff. Backward, with `σ′ = sigmoid` and bars for gradients of the energy:
//!
//! ```text
//! z̄_i = W_mᵀ (σ′(m_i) ∘ W_oᵀ x̄_i)
//! ȳ_j = Σ_i z̄_i ∘ w(d),   d̄ = Σ z̄_i ∘ y_j ∘ w′(d)    (over the edges out of j; sums over channels)
//! x̄_j ← x̄_j + W_xᵀ ȳ_j
//! ```
//!
//! | file | contents |
//! |---|---|
//! | `compile` | the network from a file's weights |
//! | `forward` | blocks and energies |
//! | `backward` | from the energies back to the edges |
//! | `filter` | the filter network |

mod backward;
mod compile;
mod filter;
mod forward;

use potstill_kernels::Number;
use potstill_kernels::dense::Dense;
use potstill_kernels::filters::{Filters, PlacedEdge};

use super::{Batch, Network, Output};
use crate::buffers::{EdgeBuffers, Scratch, resize};
use crate::domain::{Exchange, Rows};
use crate::sums::PairSums;
use crate::tasks::rows;

/// Rows of the embedding: atomic numbers 0 to 99.
const EMBEDDING_ROWS: usize = 100;

/// SchNet compiled for this processor.
#[derive(Debug)]
pub struct SchNet<T> {
    /// Padded widths of features and filters.
    wide: usize,
    filter_wide: usize,
    /// Features before the first block. Shape: `[100, wide]`.
    embedding: Vec<T>,
    blocks: Vec<Interaction<T>>,
    filters: Filters<T>,
    energy_in: Dense<T>,
    energy_out: Dense<T>,
}

/// Weights of an interaction block.
#[derive(Debug)]
struct Interaction<T> {
    source: Dense<T>,
    message: Dense<T>,
    output: Dense<T>,
}

/// Buffers of a call, reused by the next.
#[derive(Debug, Default)]
pub struct Buffers<T> {
    features: Vec<T>,
    /// `y` of each block.
    sent: Vec<Vec<T>>,
    /// `m` of each block.
    messages: Vec<Vec<T>>,
    energy_hidden: Vec<T>,
    /// `x̄`
    features_gradient: Vec<T>,
    /// `z̄`
    sum_gradient: Vec<T>,
    /// Sums `z` of the current block, or `ȳ`.
    sums: Vec<PairSums<T>>,
    tasks: Vec<TaskBuffers<T>>,
}

/// Buffers of one task for a block of its atoms.
#[derive(Debug, Default)]
struct TaskBuffers<T> {
    scratch: Scratch<T>,
    edges: EdgeBuffers<T>,
}

impl<T: Number> Network<T> for SchNet<T> {
    type Buffers = Buffers<T>;

    const ATOMS_PER_TASK: usize = 32;

    fn n_segments(&self) -> Option<usize> {
        self.filters.n_segments()
    }

    fn place(&self, distances: &[T], edges: &mut [PlacedEdge<T>]) {
        self.filters.place(distances, edges);
    }

    fn bytes(&self, n_atoms: usize) -> usize {
        // Rows of sums: those of the atoms, and about as many in halos.
        let each = self.blocks.len() * (self.wide + self.filter_wide) + 3 * self.wide + 3 * self.filter_wide;
        n_atoms.saturating_mul(each * size_of::<T>())
    }

    fn exchanged(&self) -> usize {
        self.filter_wide
    }

    fn evaluate(
        &self,
        batch: &Batch<'_, T>,
        exchange: &mut dyn Exchange<T>,
        buffers: &mut Buffers<T>,
        output: &mut Output<T>,
    ) {
        let n = batch.n_local;
        self.resize(n, batch.atomic_numbers.len(), buffers);
        let n_tasks = batch.edges.tasks().len();
        buffers.tasks.resize_with(n_tasks.max(buffers.tasks.len()), TaskBuffers::default);
        buffers.sums.resize_with(n_tasks.max(buffers.sums.len()), PairSums::default);
        resize(&mut output.energies, n);
        for (row, &z) in buffers.features.chunks_exact_mut(self.wide).zip(batch.atomic_numbers) {
            let z = usize::from(z).min(EMBEDDING_ROWS - 1);
            row.copy_from_slice(&self.embedding[rows(&(z..z + 1), self.wide)]);
        }
        for block in 0..self.blocks.len() {
            self.send(block, batch, buffers);
            exchange.refresh(&mut [Rows { values: &mut buffers.sent[block], width: self.filter_wide }]);
            self.receive(block, batch, buffers);
        }
        self.energies(batch, buffers, &mut output.energies);
        output.clear_edges(batch.edges, false);
        for block in (0..self.blocks.len()).rev() {
            self.receive_adjoint(block, batch, buffers);
            exchange.refresh(&mut [Rows { values: &mut buffers.sum_gradient, width: self.filter_wide }]);
            self.send_adjoint(block, batch, buffers, &mut output.edge_gradients);
        }
    }
}

impl<T: Number> SchNet<T> {
    /// Sets the lengths of all arrays for `n` atoms, with ghosts `n_rows`.
    fn resize(&self, n: usize, n_rows: usize, buffers: &mut Buffers<T>) {
        let (w, f) = (self.wide, self.filter_wide);
        buffers.sent.resize_with(self.blocks.len(), Vec::new);
        buffers.messages.resize_with(self.blocks.len(), Vec::new);
        buffers.sent.iter_mut().for_each(|sent| resize(sent, n_rows * f));
        buffers.messages.iter_mut().for_each(|messages| resize(messages, n * w));
        for (array, width) in [
            (&mut buffers.features, w),
            (&mut buffers.features_gradient, w),
            (&mut buffers.energy_hidden, self.energy_in.output()),
        ] {
            resize(array, n * width);
        }
        resize(&mut buffers.sum_gradient, n_rows * f);
    }
}
