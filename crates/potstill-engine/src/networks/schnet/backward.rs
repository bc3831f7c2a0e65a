//! Backward pass of SchNet: from the energies to the edges.

use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::shifted_softplus_adjoint;
use potstill_kernels::number::dispatch;
use potstill_kernels::rows::add;
use potstill_kernels::schnet::{ConvolutionAdjoint, PairConvolutionAdjoint};

use super::{Buffers, SchNet, TaskBuffers};
use crate::buffers::EdgeBuffers;
use crate::edges::{EdgeLists, TaskEdges, TaskGradients};
use crate::networks::Batch;
use crate::sums::{PairSums, collect};
use crate::tasks::{Parts, blocks, rows, run, within};

/// Slices of a task that computes `z̄` of its atoms.
struct SumTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    sum_gradient: &'a mut [T],
}

/// Slices of a task that computes the adjoint of the messages of its pairs.
struct ConvolutionTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut EdgeBuffers<T>,
    /// Results: `ȳ` at its atoms and in its halo.
    sums: &'a mut [T],
    /// Gradients of its edges, to which is added.
    out: &'a mut TaskGradients<T>,
}

/// Slices of a task that computes `x̄` before the block.
struct SendTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut TaskBuffers<T>,
    /// `ȳ` from its pairs at its atoms.
    sums: &'a mut [T],
    features_gradient: &'a mut [T],
}

/// Convolution whose adjoint is computed.
struct Sums<'a, T> {
    block: usize,
    edges: &'a EdgeLists<T>,
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
        let parts = batch.edges.tasks().iter().zip(tasks).map(|(task, buffers)| SumTask {
            atoms: task.atoms.clone(),
            buffers,
            sum_gradient: sum_gradient.next(task.atoms.len() * self.filter_wide),
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
        out: &mut [TaskGradients<T>],
    ) {
        let (w, f) = (self.wide, self.filter_wide);
        let Buffers { sent, features_gradient, sum_gradient, sums, tasks, .. } = buffers;
        let all = batch.edges.tasks();
        let convolution = Sums { block, edges: batch.edges, sent: &sent[block], gradient: sum_gradient };
        let parts = all.iter().zip(&mut *tasks).zip(sums.iter_mut().zip(out));
        let parts = parts.map(|((edges, buffers), (sums, out))| ConvolutionTask {
            edges,
            buffers: &mut buffers.edges,
            sums: sums.start(edges, f),
            out,
        });
        run(parts.collect(), |task| self.convolution_adjoint(&convolution, task));
        // The embedding does not depend on positions.
        if block == 0 {
            return;
        }
        let (sums, halos) = PairSums::parts(sums, all, f);
        let mut features = Parts::of(features_gradient);
        let parts = all.iter().zip(tasks).zip(sums).map(|((edges, buffers), sums)| SendTask {
            edges,
            buffers,
            sums,
            features_gradient: features.next(edges.atoms.len() * w),
        });
        run(parts.collect(), |task| {
            collect(task.edges, &halos, task.sums, f);
            for atoms in blocks(0..task.edges.atoms.len()) {
                let [update] = task.buffers.scratch.arrays([atoms.len() * w]);
                self.blocks[block].source.adjoint(&task.sums[rows(&atoms, f)], update);
                add(&mut task.features_gradient[rows(&atoms, w)], update);
            }
        });
    }

    fn convolution_adjoint(&self, convolution: &Sums<'_, T>, task: ConvolutionTask<'_, T>) {
        let f = self.filter_wide;
        let Sums { block, edges, sent, gradient } = *convolution;
        let ConvolutionTask { edges: own, buffers: EdgeBuffers { exact, partial }, sums, out } = task;
        let n = own.atoms.len();
        sums[..n * f].fill(T::ZERO);
        let (all_singles, all_pairs) = (edges.singles_out(own), own.pairs());
        for block_atoms in blocks(0..n) {
            let (singles, pairs) = (all_singles.of(block_atoms.clone()), all_pairs.of(block_atoms.clone()));
            let atoms = own.atoms.start + block_atoms.start..own.atoms.start + block_atoms.end;
            if singles.len() > 0 {
                dispatch(ConvolutionAdjoint::<_, _, _, true> {
                    filters: self.filters.rows(block, singles.arrays(), singles.range(), exact),
                    edges: singles.view(),
                    atoms: 0..block_atoms.len(),
                    sent: &sent[rows(&atoms, f)],
                    sum_gradient: gradient,
                    width: f,
                    sent_out: &mut sums[rows(&block_atoms, f)],
                    distance: &mut out.singles.distance[singles.within(&all_singles)],
                    partial,
                });
            }
            dispatch(PairConvolutionAdjoint {
                filters: self.filters.rows(block, pairs.arrays(), pairs.range(), exact),
                first: pairs.first,
                atoms,
                sent,
                sum_gradient: gradient,
                width: f,
                own_sums: block_atoms.start,
                sent_out: &mut *sums,
                distance: &mut out.pairs.distance[pairs.within(&all_pairs)],
                partial,
            });
        }
    }
}
