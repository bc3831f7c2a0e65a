//! Messages, from features to sums at the atoms.

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::scaled_silu;
use potstill_kernels::number::dispatch;
use potstill_kernels::painn::{MessageSum, PairSum};

use super::buffers::{Buffers, Saved, TaskBuffers, UpdateParts, UpdateSlicesMut};
use super::{Layer, PaiNN};
use crate::buffers::EdgeBuffers;
use crate::edges::TaskEdges;
use crate::networks::Batch;
use crate::sums::{PairSums, collect};
use crate::tasks::{Parts, blocks, rows, run, within};

/// Slices of a task that computes `x` of its atoms.
struct SendTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    /// `W₁ norm(s) + b₁`
    hidden: &'a mut [T],
    sent: &'a mut [T],
}

/// Features of all atoms that a message reads.
struct MessageInput<'a, T> {
    layer: usize,
    scalar: &'a [T],
    vector: &'a [T],
    sent: &'a [T],
}

/// Slices of a task that sums up the messages of its pairs.
struct MessageTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut EdgeBuffers<T>,
    /// Results: sums at its atoms, from `s_i` and `v_i` on, and in its halo.
    scalar: &'a mut [T],
    vector: &'a mut [T],
}

/// Slices of a task that computes the update of its atoms.
struct UpdateTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut TaskBuffers<T>,
    /// Sums of the messages of its pairs at its atoms.
    scalar_sums: &'a mut [T],
    vector_sums: &'a mut [T],
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
        let Buffers { layers, sent: shared, hidden: shared_hidden, tasks, .. } = buffers;
        let Saved { scalar, hidden, sent, .. } = &mut layers[layer];
        let (hidden, sent) = if sent.is_empty() { (shared_hidden, shared) } else { (hidden, sent) };
        let (mut hidden, mut sent) = (Parts::of(hidden), Parts::of(sent));
        let parts = batch.edges.tasks().iter().zip(tasks).map(|(task, buffers)| SendTask {
            atoms: task.atoms.clone(),
            buffers,
            hidden: hidden.next(task.atoms.len() * w),
            sent: sent.next(task.atoms.len() * 3 * w),
        });
        run(parts.collect(), |task| self.send_task(&self.layers[layer], scalar, task));
    }

    fn send_task(&self, layer: &Layer<T>, scalar: &[T], task: SendTask<'_, T>) {
        let w = self.wide;
        let SendTask { atoms, buffers, hidden, sent } = task;
        for block in blocks(atoms.clone()) {
            let own = within(&block, atoms.start);
            let scalar = &scalar[rows(&block, w)];
            let scratch = buffers.scratch.arrays([scalar.len(); 2]);
            layer.send(scalar, &mut hidden[rows(&own, w)], &mut sent[rows(&own, 3 * w)], scratch);
        }
    }

    /// Computes message and update of a layer.
    pub(super) fn receive(&self, layer: usize, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let w = self.wide;
        let Buffers { layers, sent: shared, scalar: last_scalar, vector: last_vector, sums, tasks, .. } = buffers;
        let (lower, upper) = layers.split_at_mut(layer + 1);
        let Some(saved) = lower.last_mut() else { return };
        let (next_scalar, next_vector) = match upper.first_mut() {
            Some(next) => (&mut next.scalar, &mut next.vector),
            None => (last_scalar, last_vector),
        };
        let recomputes = saved.sent.is_empty();
        let sent = if recomputes { &*shared } else { &*saved.sent };
        let input = MessageInput { layer, scalar: &saved.scalar, vector: &saved.vector, sent };
        self.messages(&input, batch, sums, tasks);

        let [scalar_sums, vector_sums] = sums;
        let (scalar_sums, scalar_halos) = PairSums::parts(scalar_sums, batch.edges.tasks(), w);
        let (vector_sums, vector_halos) = PairSums::parts(vector_sums, batch.edges.tasks(), 3 * w);
        let (mut scalar, mut vector) = (Parts::of(next_scalar), Parts::of(next_vector));
        let (mut middle_scalar, mut middle_vector) =
            (Parts::of(&mut saved.middle_scalar), Parts::of(&mut saved.middle_vector));
        let mut update = UpdateParts::of(&mut saved.update);
        let own_sums = scalar_sums.into_iter().zip(vector_sums);
        let parts = batch.edges.tasks().iter().zip(tasks).zip(own_sums).map(|((edges, buffers), own_sums)| {
            let n = edges.atoms.len();
            let (middle, rest) = if recomputes { (n, 0) } else { (0, n) };
            UpdateTask {
                edges,
                buffers,
                scalar_sums: own_sums.0,
                vector_sums: own_sums.1,
                scalar: scalar.next(n * w),
                vector: vector.next(n * 3 * w),
                middle_scalar: middle_scalar.next(middle * w),
                middle_vector: middle_vector.next(middle * 3 * w),
                update: update.next(rest, w),
            }
        });
        run(parts.collect(), |task| {
            collect(task.edges, &scalar_halos, task.scalar_sums, w);
            collect(task.edges, &vector_halos, task.vector_sums, 3 * w);
            self.update_task(&self.layers[layer], task);
        });
    }

    /// Sums up the messages of a layer.
    fn messages(
        &self,
        input: &MessageInput<'_, T>,
        batch: &Batch<'_, T>,
        [scalar_sums, vector_sums]: &mut [Vec<PairSums<T>>; 2],
        tasks: &mut [TaskBuffers<T>],
    ) {
        let w = self.wide;
        let sums = scalar_sums.iter_mut().zip(vector_sums);
        let parts = batch.edges.tasks().iter().zip(tasks).zip(sums).map(|((edges, buffers), sums)| MessageTask {
            edges,
            buffers: &mut buffers.edges,
            scalar: sums.0.start(edges, w),
            vector: sums.1.start(edges, 3 * w),
        });
        run(parts.collect(), |task| self.message_task(input, task));
    }

    fn message_task(&self, input: &MessageInput<'_, T>, task: MessageTask<'_, T>) {
        let w = self.wide;
        let MessageTask { edges: own, buffers: EdgeBuffers { exact, .. }, scalar, vector } = task;
        let n = own.atoms.len();
        scalar[..n * w].copy_from_slice(&input.scalar[rows(&own.atoms, w)]);
        match input.vector.is_empty() {
            true => vector[..n * 3 * w].fill(T::ZERO),
            false => vector[..n * 3 * w].copy_from_slice(&input.vector[rows(&own.atoms, 3 * w)]),
        }
        for block in blocks(0..n) {
            let (singles, pairs) = (own.singles().of(block.clone()), own.pairs().of(block.clone()));
            if singles.len() > 0 {
                dispatch(MessageSum {
                    filters: self.filters.rows(input.layer, singles.arrays(), singles.range(), exact),
                    edges: singles.view(),
                    atoms: 0..block.len(),
                    sent: input.sent,
                    vector: input.vector,
                    width: w,
                    scalar_out: &mut scalar[rows(&block, w)],
                    vector_out: &mut vector[rows(&block, 3 * w)],
                });
            }
            dispatch(PairSum {
                filters: self.filters.rows(input.layer, pairs.arrays(), pairs.range(), exact),
                first: pairs.first,
                atoms: own.atoms.start + block.start..own.atoms.start + block.end,
                sent: input.sent,
                vector: input.vector,
                width: w,
                own_sums: block.start,
                scalar_out: &mut *scalar,
                vector_out: &mut *vector,
            });
        }
    }

    fn update_task(&self, layer: &Layer<T>, mut task: UpdateTask<'_, T>) {
        let w = self.wide;
        let half = T::of(FRAC_1_SQRT_2);
        let TaskBuffers { scratch, update: recomputed, .. } = task.buffers;
        for own in blocks(0..task.edges.atoms.len()) {
            let (s, v) = (&mut task.scalar[rows(&own, w)], &mut task.vector[rows(&own, 3 * w)]);
            s.iter_mut().zip(&task.scalar_sums[rows(&own, w)]).for_each(|(s, &sum)| *s = sum * half);
            v.copy_from_slice(&task.vector_sums[rows(&own, 3 * w)]);
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
