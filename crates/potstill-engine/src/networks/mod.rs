//! Networks that the engine runs, behind one trait.
//!
//! A network is a folder here and a line in [`Engine::compile`](crate::Engine::compile).

pub mod painn;
pub mod schnet;

use potstill_kernels::Number;
use potstill_kernels::filters::PlacedEdge;
use std::fmt::Debug;

use crate::domain::Exchange;
use crate::edges::{EdgeLists, TaskGradients};

/// Input of a network: the atoms and edges of all systems.
#[derive(Debug)]
pub struct Batch<'a, T> {
    /// Number of atoms, without ghosts.
    pub n_local: usize,
    /// Atomic numbers of atoms, then of ghosts. Shape: `[n_rows]`.
    pub atomic_numbers: &'a [u8],
    /// Edges of the atoms, each within the cutoff, in tasks that threads work on side by side; together all atoms in their order.
    pub edges: &'a EdgeLists<T>,
}

/// Output of a network in its normalised units.
#[derive(Debug, Default)]
pub struct Output<T> {
    /// Energy of each atom. Shape: `[n_atoms]`.
    pub energies: Vec<T>,
    /// Force on each atom, where they come from a head of their own. Shape: `[n_atoms, 3]`.
    pub direct_forces: Option<Vec<[T; 3]>>,
    /// Gradients of the energy with respect to the edges of each task, where forces come from these.
    pub edge_gradients: Vec<TaskGradients<T>>,
}

/// Network compiled for this processor.
pub trait Network<T: Number>: Debug + Send + Sync + 'static {
    /// Activations, gradients and scratch memory of a call, reused by the next.
    type Buffers: Default + Debug + Send;

    /// Minimum number of atoms of one of two tasks: below, waking another thread takes longer than it saves.
    const ATOMS_PER_TASK: usize;

    /// Number of segments of a filter table; none for exact filters.
    fn n_segments(&self) -> Option<usize>;

    /// Finds the filters of edges of some lengths in Å. Shapes: `[n_edges]`, all edges of a list.
    fn place(&self, distances: &[T], edges: &mut [PlacedEdge<T>]);

    /// Bytes of the buffers of a call.
    fn bytes(&self, n_atoms: usize) -> usize;

    /// Largest number of numbers that one exchange brings for each ghost.
    fn exchanged(&self) -> usize;

    /// Limits the bytes of activations that are saved for the backward pass; a network that cannot recompute them ignores it.
    fn save_at_most(&mut self, _bytes: usize) {}

    /// Evaluates energies, and forces or edge gradients. Rows of ghosts are exchanged before they are read.
    fn evaluate(
        &self,
        batch: &Batch<'_, T>,
        exchange: &mut dyn Exchange<T>,
        buffers: &mut Self::Buffers,
        output: &mut Output<T>,
    );
}

impl<T: Number> Output<T> {
    /// Sets all gradients of the edges to zero; no directions where lengths are all that the energy depends on.
    pub fn clear_edges(&mut self, edges: &EdgeLists<T>, has_directions: bool) {
        let n = edges.tasks().len();
        self.edge_gradients.resize_with(n.max(self.edge_gradients.len()), TaskGradients::default);
        for (own, task) in self.edge_gradients.iter_mut().zip(edges.tasks()) {
            own.pairs.clear(task.pairs().len(), has_directions);
            own.singles.clear(edges.singles_out(task).len(), has_directions);
        }
    }
}
