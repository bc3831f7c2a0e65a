//! Backward pass of PaiNN: from the energies to the edges.

use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::scaled_silu_adjoint;
use potstill_kernels::number::dispatch;
use potstill_kernels::painn::{EdgeGradients as EdgeSlices, MessageAdjoint, PairAdjoint};

use super::buffers::{Buffers, Gradients, Saved, TaskBuffers};
use super::update::FeatureGradients;
use super::{Layer, PaiNN};
use crate::buffers::EdgeBuffers;
use crate::domain::Exchange;
use crate::edges::{EdgeLists, TaskEdges, TaskGradients};
use crate::networks::Batch;
use crate::sums::{PairSums, collect};
use crate::tasks::{Parts, blocks, rows, run};

/// Slices of a task that computes the adjoint of the messages of its pairs.
struct MessageTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut EdgeBuffers<T>,
    /// Results: `x̄` and `v̄` of its atoms, the latter from `ṽ̄_i` on, and in its halo; empty for the first message, whose inputs depend on
    /// nothing.
    sent: &'a mut [T],
    vector: &'a mut [T],
    /// Gradients of its edges, to which is added.
    out: &'a mut TaskGradients<T>,
}

/// Slices of a task that computes the gradients of a layer's sums at its atoms.
struct LayerTask<'a, T> {
    edges: &'a TaskEdges<T>,
    buffers: &'a mut TaskBuffers<T>,
    /// `x̄` and `v̄` of the message above; empty for the last layer.
    sent: &'a mut [T],
    through: &'a mut [T],
    /// Gradients of the sums of the message above, of which the scalars are read, and results.
    scalar: &'a mut [T],
    vector: &'a mut [T],
}

/// Message whose adjoint is computed.
struct Message<'a, T> {
    number: usize,
    layer: &'a Layer<T>,
    saved: &'a Saved<T>,
    /// `x` and `W₁ norm(s) + b₁` of all atoms.
    sent: &'a [T],
    hidden: &'a [T],
}

impl<T: Number> PaiNN<T> {
    /// Computes the gradients of the edges.
    pub(super) fn backward(
        &self,
        batch: &Batch<'_, T>,
        exchange: &mut dyn Exchange<T>,
        buffers: &mut Buffers<T>,
        out: &mut [TaskGradients<T>],
    ) {
        let (w, n_rows) = (self.wide, batch.atomic_numbers.len());
        let mut gradients = std::mem::take(&mut buffers.gradients);
        gradients.resize(n_rows, w);
        for layer in (0..self.layers.len()).rev() {
            if layer + 1 < self.layers.len() {
                self.messages_adjoint(layer + 1, batch, buffers, &gradients, out);
            }
            self.layer_adjoint(layer, batch, buffers, &mut gradients);
            gradients.refresh(w, exchange);
        }
        // The first message: nothing before it depends on positions, but its edges do.
        if !self.layers.is_empty() {
            self.messages_adjoint(0, batch, buffers, &gradients, out);
        }
        buffers.gradients = gradients;
    }

    /// Adjoint of a layer's messages, given the gradients of their sums.
    fn messages_adjoint(
        &self,
        layer: usize,
        batch: &Batch<'_, T>,
        buffers: &mut Buffers<T>,
        gradients: &Gradients<T>,
        out: &mut [TaskGradients<T>],
    ) {
        if buffers.layers[layer].sent.is_empty() {
            self.send(layer, batch, buffers);
        }
        let w = if layer == 0 { 0 } else { self.wide };
        let Buffers { layers, sent, hidden, sums: [sent_sums, vector_sums], tasks, .. } = buffers;
        let message = self.message(layer, &layers[layer], (sent, hidden));
        let sums = sent_sums.iter_mut().zip(vector_sums).zip(out);
        let parts =
            batch.edges.tasks().iter().zip(tasks).zip(sums).map(|((edges, buffers), (sums, out))| MessageTask {
                edges,
                buffers: &mut buffers.edges,
                sent: sums.0.start(edges, 3 * w),
                vector: sums.1.start(edges, 3 * w),
                out,
            });
        run(parts.collect(), |task| self.message_adjoint(&message, gradients, batch.edges, task));
    }

    /// Message of a layer; `recomputed` are `x` and `W₁ norm(s) + b₁` where the layer does not save them.
    fn message<'a>(&'a self, number: usize, saved: &'a Saved<T>, recomputed: (&'a [T], &'a [T])) -> Message<'a, T> {
        let (sent, hidden) = if saved.sent.is_empty() { recomputed } else { (&*saved.sent, &*saved.hidden) };
        Message { number, layer: &self.layers[number], saved, sent, hidden }
    }

    fn message_adjoint(
        &self,
        message: &Message<'_, T>,
        gradients: &Gradients<T>,
        edges: &EdgeLists<T>,
        task: MessageTask<'_, T>,
    ) {
        let w = self.wide;
        let MessageTask { edges: own, buffers: EdgeBuffers { exact, partial }, sent, vector, out } = task;
        let Gradients { scalar: scalar_gradient, vector: vector_gradient } = gradients;
        let n = own.atoms.len();
        if message.number > 0 {
            sent[..n * 3 * w].fill(T::ZERO);
            // Since `ṽ_i` contains `v_i`.
            vector[..n * 3 * w].copy_from_slice(&vector_gradient[rows(&own.atoms, 3 * w)]);
        }
        let (all_singles, all_pairs) = (edges.singles_out(own), own.pairs());
        for block in blocks(0..n) {
            let (singles, pairs) = (all_singles.of(block.clone()), all_pairs.of(block.clone()));
            let atoms = own.atoms.start + block.start..own.atoms.start + block.end;
            let block_rows = |width: usize| if message.number > 0 { rows(&block, width) } else { 0..0 };
            if singles.len() > 0 {
                let own_edges = singles.within(&all_singles);
                dispatch(MessageAdjoint::<_, _, _, true> {
                    filters: self.filters.rows(message.number, singles.arrays(), singles.range(), exact),
                    edges: singles.view(),
                    atoms: 0..block.len(),
                    sent: &message.sent[rows(&atoms, 3 * w)],
                    vector: match message.number {
                        0 => &[],
                        _ => &message.saved.vector[rows(&atoms, 3 * w)],
                    },
                    scalar_gradient,
                    vector_gradient,
                    width: w,
                    sent_out: &mut sent[block_rows(3 * w)],
                    vector_out: &mut vector[block_rows(3 * w)],
                    geometry: EdgeSlices {
                        distance: &mut out.singles.distance[own_edges.clone()],
                        direction: &mut out.singles.direction[own_edges],
                        partial,
                    },
                });
            }
            let own_pairs = pairs.within(&all_pairs);
            dispatch(PairAdjoint {
                filters: self.filters.rows(message.number, pairs.arrays(), pairs.range(), exact),
                first: pairs.first,
                atoms,
                sent: message.sent,
                vector: &message.saved.vector,
                scalar_gradient,
                vector_gradient,
                width: w,
                own_sums: block.start,
                sent_out: &mut *sent,
                vector_out: &mut *vector,
                geometry: EdgeSlices {
                    distance: &mut out.pairs.distance[own_pairs.clone()],
                    direction: &mut out.pairs.direction[own_pairs],
                    partial,
                },
            });
        }
    }

    /// Turns the gradients of the sums of the message above, whose adjoint was computed, or of the energies where there is none, into those
    /// of the sums of a layer's message.
    fn layer_adjoint(
        &self,
        layer: usize,
        batch: &Batch<'_, T>,
        buffers: &mut Buffers<T>,
        gradients: &mut Gradients<T>,
    ) {
        let Buffers { layers, sent, hidden, energy_hidden, sums: [sent_sums, vector_sums], tasks, .. } = buffers;
        let is_last = layer + 1 == layers.len();
        let w = self.wide;
        let message = layers.get(layer + 1).map(|saved| self.message(layer + 1, saved, (&*sent, &*hidden)));
        let width = if is_last { 0 } else { 3 * w };
        let (sent_sums, sent_halos) = PairSums::parts(sent_sums, batch.edges.tasks(), width);
        let (vector_sums, vector_halos) = PairSums::parts(vector_sums, batch.edges.tasks(), width);
        let (mut scalar, mut vector) = (Parts::of(&mut gradients.scalar), Parts::of(&mut gradients.vector));
        let own_sums = sent_sums.into_iter().zip(vector_sums);
        let parts = batch.edges.tasks().iter().zip(tasks).zip(own_sums).map(|((edges, buffers), own_sums)| LayerTask {
            edges,
            buffers,
            sent: own_sums.0,
            through: own_sums.1,
            scalar: scalar.next(edges.atoms.len() * w),
            vector: vector.next(edges.atoms.len() * 3 * w),
        });
        let (saved, energy_hidden) = (&layers[layer], &*energy_hidden);
        run(parts.collect(), |task| {
            if message.is_some() {
                collect(task.edges, &sent_halos, task.sent, width);
                collect(task.edges, &vector_halos, task.through, width);
            }
            self.layer_task(&self.layers[layer], saved, message.as_ref(), energy_hidden, task);
        });
    }

    fn layer_task(
        &self,
        layer: &Layer<T>,
        saved: &Saved<T>,
        above: Option<&Message<'_, T>>,
        energy_hidden: &[T],
        task: LayerTask<'_, T>,
    ) {
        let w = self.wide;
        let (start, buffers) = (task.edges.atoms.start, task.buffers);
        for own in blocks(0..task.edges.atoms.len()) {
            let atoms = start + own.start..start + own.end;
            let mut gradients = FeatureGradients {
                scalar: &mut task.scalar[rows(&own, w)],
                vector: &mut task.vector[rows(&own, 3 * w)],
            };
            match above {
                None => {
                    self.energy_adjoint(energy_hidden, &atoms, buffers, gradients.scalar);
                    gradients.vector.fill(T::ZERO);
                }
                Some(message) => {
                    gradients.vector.copy_from_slice(&task.through[rows(&own, 3 * w)]);
                    let sent_gradient = &task.sent[rows(&own, 3 * w)];
                    self.sent_adjoint(message, &atoms, sent_gradient, buffers, gradients.scalar);
                }
            }
            self.update_adjoint(layer, saved, &atoms, above.is_none(), buffers, &mut gradients);
        }
    }

    /// Turns the gradient of a message's scalar sums into `s̄` of its input, given `x̄`.
    fn sent_adjoint(
        &self,
        message: &Message<'_, T>,
        atoms: &Range<usize>,
        sent_gradient: &[T],
        buffers: &mut TaskBuffers<T>,
        scalar: &mut [T],
    ) {
        let scalar_rows = rows(atoms, self.wide);
        let [hidden_gradient, normalized] = buffers.scratch.arrays([scalar_rows.len(); 2]);
        message.layer.scalar_out.adjoint(sent_gradient, hidden_gradient);
        scaled_silu_adjoint(&message.hidden[scalar_rows.clone()], hidden_gradient);
        message.layer.scalar_in.adjoint(hidden_gradient, normalized);
        message.layer.norm.adjoint(&message.saved.scalar[scalar_rows], normalized, scalar);
    }

    /// Gradient `s̄` of the last layer's scalars.
    fn energy_adjoint(&self, hidden: &[T], atoms: &Range<usize>, buffers: &mut TaskBuffers<T>, scalar: &mut [T]) {
        let one = self.energy_out.output();
        let hidden = &hidden[rows(atoms, self.energy_in.output())];
        let [ones, hidden_gradient] = buffers.scratch.arrays([atoms.len() * one, hidden.len()]);
        ones.chunks_exact_mut(one).for_each(|row| {
            row.fill(T::ZERO);
            row[0] = T::ONE;
        });
        self.energy_out.adjoint(ones, hidden_gradient);
        scaled_silu_adjoint(hidden, hidden_gradient);
        self.energy_in.adjoint(hidden_gradient, scalar);
    }
}
