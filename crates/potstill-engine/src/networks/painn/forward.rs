//! Messages, from features to sums at the atoms.

use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::scaled_silu;
use potstill_kernels::number::dispatch;
use potstill_kernels::painn::MessageSum;

use super::buffers::{Buffers, Saved, TaskBuffers, UpdateParts, UpdateSlicesMut};
use super::{Layer, PaiNN};
use crate::edges::EdgeList;
use crate::networks::Batch;
use crate::tasks::{Parts, blocks, rows, run, within};

/// Slices of a task that computes `x` of its atoms.
struct SendTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    /// `W₁ norm(s) + b₁`; empty where it is recomputed.
    hidden: &'a mut [T],
    sent: &'a mut [T],
}

/// Features of all atoms that a message reads.
struct MessageInput<'a, T> {
    scalar: &'a [T],
    vector: &'a [T],
    sent: &'a [T],
}

/// Slices of a task that computes message and update of its atoms.
struct ReceiveTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    /// Results: `s`, `v` of the next layer.
    scalar: &'a mut [T],
    vector: &'a mut [T],
    /// `s̃`, `ṽ`, where the rest is recomputed; else empty.
    middle_scalar: &'a mut [T],
    middle_vector: &'a mut [T],
    /// Activations of the update; empty where they are recomputed.
    update: UpdateSlicesMut<'a, T>,
}

impl<T: Number> Layer<T> {
    /// `x` of some atoms, with the argument `hidden` of its activation; the last two arrays are scratch.
    pub(super) fn send(&self, scalar: &[T], hidden: &mut [T], sent: &mut [T], [normalized, activated]: [&mut [T]; 2]) {
        self.norm.forward(scalar, normalized);
        self.scalar_in.forward(normalized, hidden);
        scaled_silu(hidden, activated);
        self.scalar_out.forward(activated, sent);
    }
}

impl<T: Number> PaiNN<T> {
    /// Computes `x` of every atom.
    pub(super) fn send(&self, layer: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let w = self.wide;
        let Buffers { layers, sent: shared, tasks, .. } = buffers;
        let Saved { scalar, hidden, sent, .. } = &mut layers[layer];
        let recomputes = sent.is_empty();
        let (mut hidden, mut sent) = (Parts::of(hidden), Parts::of(if recomputes { shared } else { sent }));
        let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| SendTask {
            atoms: atoms.clone(),
            buffers,
            hidden: hidden.next(if recomputes { 0 } else { atoms.len() * w }),
            sent: sent.next(atoms.len() * 3 * w),
        });
        run(parts.collect(), |task| self.send_task(&self.layers[layer], scalar, task));
    }

    fn send_task(&self, layer: &Layer<T>, scalar: &[T], task: SendTask<'_, T>) {
        let w = self.wide;
        let SendTask { atoms, buffers, hidden, sent } = task;
        for block in blocks(atoms.clone()) {
            let own = within(&block, atoms.start);
            let scalar = &scalar[rows(&block, w)];
            let [scratch, normalized, activated] = buffers.scratch.arrays([scalar.len(); 3]);
            let hidden = if hidden.is_empty() { scratch } else { &mut hidden[rows(&own, w)] };
            layer.send(scalar, hidden, &mut sent[rows(&own, 3 * w)], [normalized, activated]);
        }
    }

    /// Computes message and update of a layer.
    pub(super) fn receive(&self, layer: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let w = self.wide;
        let Buffers { layers, sent: shared, scalar: last_scalar, vector: last_vector, tasks, .. } = buffers;
        let (lower, upper) = layers.split_at_mut(layer + 1);
        let Some(saved) = lower.last_mut() else { return };
        let (next_scalar, next_vector) = match upper.first_mut() {
            Some(next) => (&mut next.scalar, &mut next.vector),
            None => (last_scalar, last_vector),
        };
        let recomputes = saved.sent.is_empty();
        let sent = if recomputes { &*shared } else { &*saved.sent };
        let input = MessageInput { scalar: &saved.scalar, vector: &saved.vector, sent };
        let (mut scalar, mut vector) = (Parts::of(next_scalar), Parts::of(next_vector));
        let (mut middle_scalar, mut middle_vector) =
            (Parts::of(&mut saved.middle_scalar), Parts::of(&mut saved.middle_vector));
        let mut update = UpdateParts::of(&mut saved.update);
        let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| {
            let (middle, rest) = if recomputes { (atoms.len(), 0) } else { (0, atoms.len()) };
            ReceiveTask {
                atoms: atoms.clone(),
                buffers,
                scalar: scalar.next(atoms.len() * w),
                vector: vector.next(atoms.len() * 3 * w),
                middle_scalar: middle_scalar.next(middle * w),
                middle_vector: middle_vector.next(middle * 3 * w),
                update: update.next(rest, w),
            }
        });
        let edges = &batch.edges.by_target;
        run(parts.collect(), |task| self.receive_task(&self.layers[layer], edges, &input, task));
    }

    fn receive_task(
        &self,
        layer: &Layer<T>,
        edges: &EdgeList<T>,
        input: &MessageInput<'_, T>,
        mut task: ReceiveTask<'_, T>,
    ) {
        let w = self.wide;
        let TaskBuffers { scratch, edges: edge_buffers, update: recomputed, .. } = task.buffers;
        for block in blocks(task.atoms.clone()) {
            let own = within(&block, task.atoms.start);
            let (s, v) = (&mut task.scalar[rows(&own, w)], &mut task.vector[rows(&own, 3 * w)]);
            dispatch(MessageSum {
                filters: layer.filters.rows(edges.distances(&block), &mut edge_buffers.rows),
                edges: edges.view(),
                atoms: block,
                sent: input.sent,
                vector: input.vector,
                scalar: input.scalar,
                width: w,
                scalar_out: &mut *s,
                vector_out: &mut *v,
            });
            let mut update = match task.middle_scalar.is_empty() {
                true => task.update.block(&own, w),
                false => {
                    task.middle_scalar[rows(&own, w)].copy_from_slice(s);
                    task.middle_vector[rows(&own, 3 * w)].copy_from_slice(v);
                    recomputed.resize(own.len(), w);
                    recomputed.all()
                }
            };
            self.update_activations(layer, s, v, &mut update, scratch);
            self.update(layer.scale, &update, s, v);
        }
    }
}
