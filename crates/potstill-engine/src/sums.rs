//! Sums of a task's pairs, and what tasks collect from earlier ones.

use potstill_kernels::Number;
use potstill_kernels::number::vectorized;
use potstill_kernels::rows::add;

use crate::buffers::resize;
use crate::edges::{Inflow, TaskEdges};

/// Sums that the pairs of a task make: rows of its own atoms, then rows for atoms of later tasks, its halo.
#[derive(Debug, Default)]
pub struct PairSums<T>(Vec<T>);

impl<T: Number> PairSums<T> {
    /// Rows of `width` numbers for a task's sums; those of its own atoms as they are, the rest zero.
    pub fn start<N: Number>(&mut self, task: &TaskEdges<N>, width: usize) -> &mut [T] {
        resize(&mut self.0, task.n_sums() * width);
        self.0[task.atoms.len() * width..].fill(T::ZERO);
        &mut self.0
    }

    /// Rows of the own atoms and the halo's rows of all tasks.
    pub fn parts<'a, N: Number>(
        all: &'a mut [Self],
        tasks: &[TaskEdges<N>],
        width: usize,
    ) -> (Vec<&'a mut [T]>, Vec<&'a [T]>) {
        let split = all.iter_mut().zip(tasks).map(|(sums, task)| {
            let (own, halo) = sums.0[..task.n_sums() * width].split_at_mut(task.atoms.len() * width);
            (own, &*halo)
        });
        split.unzip()
    }
}

/// Adds what earlier tasks have summed up for the atoms of a task.
pub fn collect<T: Number, N>(task: &TaskEdges<N>, halos: &[&[T]], own: &mut [T], width: usize) {
    vectorized(
        #[inline(always)]
        || {
            for Inflow { task, row, atom } in &task.inflow {
                let (row, atom) = (*row as usize, *atom as usize);
                add(&mut own[atom * width..][..width], &halos[*task as usize][row * width..][..width]);
            }
        },
    );
}
