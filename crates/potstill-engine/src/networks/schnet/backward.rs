//! Backward pass of SchNet: from the energies to the edges.

use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::shifted_softplus_adjoint;
use potstill_kernels::number::dispatch;
use potstill_kernels::rows::add;
use potstill_kernels::schnet::ConvolutionAdjoint;

use super::{Buffers, SchNet, TaskBuffers};
use crate::edges::EdgeList;
use crate::networks::Batch;
use crate::tasks::{Parts, blocks, rows, run, within};

/// Slices of a task that computes `z̄` of its atoms.
struct SumTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    sum_gradient: &'a mut [T],
}

/// Slices of a task that computes the gradients of the edges out of its atoms, and `x̄` before the block.
struct SendTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    features_gradient: &'a mut [T],
    /// To which is added.
    distance: &'a mut [T],
}

/// Convolution whose adjoint is computed.
struct Sums<'a, T> {
    block: usize,
    edges: &'a EdgeList<T>,
    /// `y` of all atoms.
    sent: &'a [T],
    /// `z̄` of all atoms.
    gradient: &'a [T],
}

impl<T: Number> SchNet<T> {
    /// Computes `z̄` of every atom.
    pub(super) fn receive_adjoint(&self, block: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let Buffers { messages, features_gradient, sum_gradient, tasks, .. } = buffers;
        let mut sum_gradient = Parts::of(sum_gradient);
        let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| SumTask {
            atoms: atoms.clone(),
            buffers,
            sum_gradient: sum_gradient.next(atoms.len() * self.filter_wide),
        });
        let weights = &self.blocks[block];
        run(parts.collect(), |task| {
            for atoms in blocks(task.atoms.clone()) {
                let [message_gradient] = task.buffers.scratch.arrays([atoms.len() * self.wide]);
                weights.output.adjoint(&features_gradient[rows(&atoms, self.wide)], message_gradient);
                shifted_softplus_adjoint(&messages[block][rows(&atoms, self.wide)], message_gradient);
                let own = rows(&within(&atoms, task.atoms.start), self.filter_wide);
                weights.message.adjoint(message_gradient, &mut task.sum_gradient[own]);
            }
        });
    }

    /// Computes gradients of the edges, and `x̄` before the block.
    pub(super) fn send_adjoint(
        &self,
        block: usize,
        batch: &Batch<'_, T>,
        buffers: &mut Buffers<T>,
        distance: &mut [T],
    ) {
        let edges = batch.edges.by_source();
        let Buffers { sent, features_gradient, sum_gradient, tasks, .. } = buffers;
        let (mut features, mut distance) = (Parts::of(features_gradient), Parts::of(distance));
        let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| SendTask {
            atoms: atoms.clone(),
            buffers,
            features_gradient: features.next(atoms.len() * self.wide),
            distance: distance.next(edges.of(atoms).len()),
        });
        let sums = Sums { block, edges, sent: &sent[block], gradient: sum_gradient };
        run(parts.collect(), |task| self.send_adjoint_task(&sums, task));
    }

    fn send_adjoint_task(&self, sums: &Sums<'_, T>, task: SendTask<'_, T>) {
        let (w, f) = (self.wide, self.filter_wide);
        let weights = &self.blocks[sums.block];
        let TaskBuffers { scratch, edges: edge_buffers } = task.buffers;
        for atoms in blocks(task.atoms.clone()) {
            let m = atoms.len();
            let [sent_gradient, update] = scratch.arrays([m * f, m * w]);
            let own_edges = within(&sums.edges.of(&atoms), sums.edges.first[task.atoms.start]);
            dispatch(ConvolutionAdjoint::<_, _, true> {
                filters: weights.filters.rows(sums.edges.distances(&atoms), &mut edge_buffers.rows),
                edges: sums.edges.view(),
                atoms: atoms.clone(),
                sent: &sums.sent[rows(&atoms, f)],
                sum_gradient: sums.gradient,
                width: f,
                sent_out: &mut *sent_gradient,
                distance: &mut task.distance[own_edges],
                partial: &mut edge_buffers.partial,
            });
            // The embedding does not depend on positions.
            if sums.block > 0 {
                weights.source.adjoint(sent_gradient, update);
                add(&mut task.features_gradient[rows(&within(&atoms, task.atoms.start), w)], update);
            }
        }
    }
}
