//! Interaction blocks and energies.

use potstill_kernels::Number;
use potstill_kernels::activation::{shifted_softplus, shifted_softplus_adjoint};
use potstill_kernels::number::dispatch;
use potstill_kernels::rows::add;
use potstill_kernels::schnet::{Convolution, PairConvolution};

use super::{Buffers, Interaction, SchNet, TaskBuffers};
use crate::buffers::EdgeBuffers;
use crate::edges::TaskEdges;
use crate::networks::Batch;
use crate::sums::{PairSums, collect};
use crate::tasks::{Parts, blocks, rows, run};

/// Slices of a task that sums up the messages of its pairs.
struct ConvolutionTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut EdgeBuffers<T>,
    /// Results: sums at its atoms and in its halo.
    sums: &'a mut [T],
}

/// Slices of a task that computes the features of its atoms after a block.
struct ReceiveTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut TaskBuffers<T>,
    /// Sums of the messages of its pairs at its atoms.
    sums: &'a mut [T],
    features: &'a mut [T],
    messages: &'a mut [T],
}

/// Slices of a task for the energies of its atoms and their gradients.
struct EnergyTask<'a, T> {
    features: &'a [T],
    buffers: &'a mut TaskBuffers<T>,
    hidden: &'a mut [T],
    features_gradient: &'a mut [T],
    energies: &'a mut [T],
}

impl<T: Number> SchNet<T> {
    /// Computes `y` of every atom.
    pub(super) fn send(&self, block: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let Buffers { features, sent, .. } = buffers;
        let mut sent = Parts::of(&mut sent[block]);
        let parts = batch
            .edges
            .tasks()
            .iter()
            .map(|task| (&features[rows(&task.atoms, self.wide)], sent.next(task.atoms.len() * self.filter_wide)));
        run(parts.collect(), |(features, sent)| self.blocks[block].source.forward(features, sent));
    }

    /// Computes `m` of every atom, and its features after the block.
    pub(super) fn receive(&self, block: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let Buffers { features, sent, messages, sums, tasks, .. } = buffers;
        let all = batch.edges.tasks();
        let parts = all.iter().zip(&mut *tasks).zip(&mut *sums).map(|((edges, buffers), sums)| ConvolutionTask {
            edges,
            buffers: &mut buffers.edges,
            sums: sums.start(edges, self.filter_wide),
        });
        run(parts.collect(), |task| self.convolution_task(block, &sent[block], task));

        let (sums, halos) = PairSums::parts(sums, all, self.filter_wide);
        let (mut features, mut messages) = (Parts::of(features), Parts::of(&mut messages[block]));
        let parts = all.iter().zip(tasks).zip(sums).map(|((edges, buffers), sums)| ReceiveTask {
            edges,
            buffers,
            sums,
            features: features.next(edges.atoms.len() * self.wide),
            messages: messages.next(edges.atoms.len() * self.wide),
        });
        run(parts.collect(), |task| {
            collect(task.edges, &halos, task.sums, self.filter_wide);
            self.receive_task(&self.blocks[block], task);
        });
    }

    fn convolution_task(&self, block: usize, sent: &[T], task: ConvolutionTask<'_, T>) {
        let f = self.filter_wide;
        let ConvolutionTask { edges: own, buffers: EdgeBuffers { exact, .. }, sums } = task;
        let n = own.atoms.len();
        sums[..n * f].fill(T::ZERO);
        for atoms in blocks(0..n) {
            let (singles, pairs) = (own.singles().of(atoms.clone()), own.pairs().of(atoms.clone()));
            if singles.len() > 0 {
                dispatch(Convolution {
                    filters: self.filters.rows(block, singles.arrays(), singles.range(), exact),
                    edges: singles.view(),
                    atoms: 0..atoms.len(),
                    sent,
                    width: f,
                    sums: &mut sums[rows(&atoms, f)],
                });
            }
            dispatch(PairConvolution {
                filters: self.filters.rows(block, pairs.arrays(), pairs.range(), exact),
                first: pairs.first,
                atoms: own.atoms.start + atoms.start..own.atoms.start + atoms.end,
                sent,
                width: f,
                own_sums: atoms.start,
                sums: &mut *sums,
            });
        }
    }

    fn receive_task(&self, weights: &Interaction<T>, task: ReceiveTask<'_, T>) {
        let (w, f) = (self.wide, self.filter_wide);
        for atoms in blocks(0..task.edges.atoms.len()) {
            let own = rows(&atoms, w);
            let (features, messages) = (&mut task.features[own.clone()], &mut task.messages[own]);
            let [activated, update] = task.buffers.scratch.arrays([atoms.len() * w; 2]);
            weights.message.forward(&task.sums[rows(&atoms, f)], messages);
            shifted_softplus(messages, activated);
            weights.output.forward(activated, update);
            add(features, update);
        }
    }

    /// Computes the energies, and the gradients `x̄` after the last block.
    pub(super) fn energies(&self, batch: &Batch<'_, T>, buffers: &mut Buffers<T>, energies: &mut [T]) {
        let (w, half) = (self.wide, self.energy_in.output());
        let Buffers { features, energy_hidden, features_gradient, tasks, .. } = buffers;
        let (mut hidden, mut gradient) = (Parts::of(energy_hidden), Parts::of(features_gradient));
        let mut energies = Parts::of(energies);
        let parts = batch.edges.tasks().iter().zip(tasks).map(|(task, buffers)| EnergyTask {
            features: &features[rows(&task.atoms, w)],
            buffers,
            hidden: hidden.next(task.atoms.len() * half),
            features_gradient: gradient.next(task.atoms.len() * w),
            energies: energies.next(task.atoms.len()),
        });
        run(parts.collect(), |task| self.energy_task(task));
    }

    fn energy_task(&self, task: EnergyTask<'_, T>) {
        let one = self.energy_out.output();
        let EnergyTask { features, buffers, hidden, features_gradient, energies } = task;
        self.energy_in.forward(features, hidden);
        let [activated, out] = buffers.scratch.arrays([hidden.len(), energies.len() * one]);
        shifted_softplus(hidden, activated);
        self.energy_out.forward(activated, out);
        energies.iter_mut().zip(out.chunks_exact(one)).for_each(|(e, row)| *e = row[0]);
        out.chunks_exact_mut(one).for_each(|row| {
            row.fill(T::ZERO);
            row[0] = T::ONE;
        });
        self.energy_out.adjoint(out, activated);
        shifted_softplus_adjoint(hidden, activated);
        self.energy_in.adjoint(activated, features_gradient);
    }
}
