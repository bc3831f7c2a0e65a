//! Interaction blocks and energies.

use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::{shifted_softplus, shifted_softplus_adjoint};
use potstill_kernels::number::dispatch;
use potstill_kernels::rows::add;
use potstill_kernels::schnet::Convolution;

use super::{Buffers, Interaction, SchNet, TaskBuffers};
use crate::edges::EdgeList;
use crate::networks::Batch;
use crate::tasks::{Parts, blocks, rows, run, within};

/// Slices of a task that computes the messages into its atoms.
struct ReceiveTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
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
            .tasks
            .iter()
            .map(|atoms| (&features[rows(atoms, self.wide)], sent.next(atoms.len() * self.filter_wide)));
        run(parts.collect(), |(features, sent)| self.blocks[block].source.forward(features, sent));
    }

    /// Computes `m` of every atom, and its features after the block.
    pub(super) fn receive(&self, block: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let Buffers { features, sent, messages, tasks, .. } = buffers;
        let (mut features, mut messages) = (Parts::of(features), Parts::of(&mut messages[block]));
        let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| ReceiveTask {
            atoms: atoms.clone(),
            buffers,
            features: features.next(atoms.len() * self.wide),
            messages: messages.next(atoms.len() * self.wide),
        });
        let edges = &batch.edges.by_target;
        run(parts.collect(), |task| self.receive_task(&self.blocks[block], edges, &sent[block], task));
    }

    fn receive_task(&self, block: &Interaction<T>, edges: &EdgeList<T>, sent: &[T], task: ReceiveTask<'_, T>) {
        let (w, f) = (self.wide, self.filter_wide);
        let ReceiveTask { atoms: all, buffers: TaskBuffers { scratch, edges: edge_buffers }, features, messages } =
            task;
        for atoms in blocks(all.clone()) {
            let m = atoms.len();
            let own = rows(&within(&atoms, all.start), w);
            let (features, messages) = (&mut features[own.clone()], &mut messages[own]);
            let [sums, activated, update] = scratch.arrays([m * f, m * w, m * w]);
            dispatch(Convolution {
                filters: block.filters.rows(edges.distances(&atoms), &mut edge_buffers.rows),
                edges: edges.view(),
                atoms,
                sent,
                width: f,
                sums: &mut *sums,
            });
            block.message.forward(sums, messages);
            shifted_softplus(messages, activated);
            block.output.forward(activated, update);
            add(features, update);
        }
    }

    /// Computes the energies, and the gradients `x̄` after the last block.
    pub(super) fn energies(&self, batch: &Batch<'_, T>, buffers: &mut Buffers<T>, energies: &mut [T]) {
        let (w, half) = (self.wide, self.energy_in.output());
        let Buffers { features, energy_hidden, features_gradient, tasks, .. } = buffers;
        let (mut hidden, mut gradient) = (Parts::of(energy_hidden), Parts::of(features_gradient));
        let mut energies = Parts::of(energies);
        let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| EnergyTask {
            features: &features[rows(atoms, w)],
            buffers,
            hidden: hidden.next(atoms.len() * half),
            features_gradient: gradient.next(atoms.len() * w),
            energies: energies.next(atoms.len()),
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
