//! Backward pass of PaiNN: from the energies to the edges.

use std::ops::Range;

use potstill_kernels::Number;
use potstill_kernels::activation::scaled_silu_adjoint;
use potstill_kernels::number::dispatch;
use potstill_kernels::painn::{EdgeGradients as EdgeSlices, MessageAdjoint};

use super::buffers::{Buffers, Gradients, Saved, TaskBuffers};
use super::update::FeatureGradients;
use super::{Layer, PaiNN};
use crate::buffers::{EdgeGradients, resize};
use crate::domain::Exchange;
use crate::edges::EdgeList;
use crate::networks::Batch;
use crate::tasks::{Parts, blocks, rows, run, within};

/// Slices of a task in the backward pass of a layer.
struct BackwardTask<'a, T> {
    atoms: Range<usize>,
    buffers: &'a mut TaskBuffers<T>,
    /// Results: gradients of the atoms; empty for the first message, whose inputs depend on nothing.
    scalar: &'a mut [T],
    vector: &'a mut [T],
    /// Gradients of the edges out of the atoms, to which is added.
    distance: &'a mut [T],
    direction: &'a mut [[T; 3]],
}

/// Slices of a block of atoms of a [`BackwardTask`].
struct Block<'a, T> {
    atoms: Range<usize>,
    distance: &'a mut [T],
    direction: &'a mut [[T; 3]],
}

/// Message whose adjoint is computed, with the gradients of its sums at all atoms.
struct Message<'a, T> {
    layer: &'a Layer<T>,
    saved: &'a Saved<T>,
    gradients: &'a Gradients<T>,
    edges: &'a EdgeList<T>,
}

impl<T: Number> PaiNN<T> {
    /// Computes the gradients of the edges.
    pub(super) fn backward(
        &self,
        batch: &Batch<'_, T>,
        exchange: &mut dyn Exchange<T>,
        buffers: &mut Buffers<T>,
        out: &mut EdgeGradients<T>,
    ) {
        let (w, n_rows) = (self.wide, batch.atomic_numbers.len());
        let edges = batch.edges.by_source();
        out.clear(batch.edges.len(), true);
        let Buffers { layers, energy_hidden, gradients: [own, above], tasks, .. } = buffers;
        let (mut own, mut above) = (own, above);
        for layer in (0..layers.len()).rev() {
            own.resize(n_rows, w);
            let message = layers.get(layer + 1).map(|saved| Message {
                layer: &self.layers[layer + 1],
                saved,
                gradients: above,
                edges,
            });
            let parts = backward_tasks(batch, tasks, (&mut *own, w), out);
            let (hidden, saved) = (&*energy_hidden, &layers[layer]);
            run(parts, |task| self.layer_adjoint(&self.layers[layer], saved, message.as_ref(), hidden, task));
            own.refresh(w, exchange);
            std::mem::swap(&mut own, &mut above);
        }
        // The first message: nothing before it depends on positions, but its edges do.
        let Some(saved) = layers.first() else { return };
        let message = Message { layer: &self.layers[0], saved, gradients: above, edges };
        let mut none = Gradients::default();
        let parts = backward_tasks(batch, tasks, (&mut none, 0), out);
        run(parts, |task| self.first_message_adjoint(&message, task));
    }

    /// Gradients of the sums of a layer's message, given those of the message above, or the energies where there is none.
    fn layer_adjoint(
        &self,
        layer: &Layer<T>,
        saved: &Saved<T>,
        above: Option<&Message<'_, T>>,
        energy_hidden: &[T],
        task: BackwardTask<'_, T>,
    ) {
        let w = self.wide;
        let (start, buffers) = (task.atoms.start, &mut *task.buffers);
        for atoms in blocks(task.atoms.clone()) {
            let own = within(&atoms, start);
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
                    let (distance, direction) = (&mut *task.distance, &mut *task.direction);
                    let block = message.block(&atoms, start, distance, direction);
                    self.message_adjoint(message, block, buffers, &mut gradients);
                }
            }
            self.update_adjoint(layer, saved, &atoms, above.is_none(), buffers, &mut gradients);
        }
    }

    /// Gradients of the edges of the first message.
    fn first_message_adjoint(&self, message: &Message<'_, T>, task: BackwardTask<'_, T>) {
        let BackwardTask { atoms: all, buffers, distance, direction, .. } = task;
        for atoms in blocks(all.clone()) {
            self.recompute_sent(message, &atoms, buffers);
            let block = message.block(&atoms, all.start, distance, direction);
            let TaskBuffers { edges, sent, .. } = &mut *buffers;
            let sent = message.sent(&atoms, self.wide, sent);
            let Block { atoms, distance, direction } = block;
            dispatch(MessageAdjoint::<_, _, true> {
                filters: message.layer.filters.rows(message.edges.distances(&atoms), &mut edges.rows),
                edges: message.edges.view(),
                atoms,
                sent,
                vector: &[],
                scalar_gradient: &message.gradients.scalar,
                vector_gradient: &message.gradients.vector,
                width: self.wide,
                sent_out: &mut [],
                vector_out: &mut [],
                has_input: false,
                geometry: EdgeSlices { distance, direction, partial: &mut edges.partial },
            });
        }
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

    /// Recomputes `W₁ norm(s) + b₁` and `x` of some atoms where they were not saved.
    fn recompute_sent(&self, message: &Message<'_, T>, atoms: &Range<usize>, buffers: &mut TaskBuffers<T>) {
        if !message.saved.sent.is_empty() {
            return;
        }
        let scalar = &message.saved.scalar[rows(atoms, self.wide)];
        let TaskBuffers { scratch, hidden, sent, .. } = buffers;
        resize(hidden, scalar.len());
        resize(sent, 3 * scalar.len());
        message.layer.send(scalar, hidden, sent, scratch.arrays([scalar.len(); 2]));
    }

    /// Gradients `s̄`, `v̄` of a message's input, and of its edges.
    fn message_adjoint(
        &self,
        message: &Message<'_, T>,
        block: Block<'_, T>,
        buffers: &mut TaskBuffers<T>,
        out: &mut FeatureGradients<'_, T>,
    ) {
        let w = self.wide;
        self.recompute_sent(message, &block.atoms, buffers);
        let TaskBuffers { scratch, edges, sent_gradient, hidden, sent, .. } = buffers;
        let Block { atoms, distance, direction } = block;
        let scalar_rows = rows(&atoms, w);
        resize(sent_gradient, 3 * scalar_rows.len());
        let sent = message.sent(&atoms, w, sent);
        let hidden = if message.saved.hidden.is_empty() { hidden } else { &message.saved.hidden[scalar_rows.clone()] };
        dispatch(MessageAdjoint::<_, _, true> {
            filters: message.layer.filters.rows(message.edges.distances(&atoms), &mut edges.rows),
            edges: message.edges.view(),
            atoms: atoms.clone(),
            sent,
            vector: &message.saved.vector[rows(&atoms, 3 * w)],
            scalar_gradient: &message.gradients.scalar,
            vector_gradient: &message.gradients.vector,
            width: w,
            sent_out: sent_gradient,
            vector_out: &mut *out.vector,
            has_input: true,
            geometry: EdgeSlices { distance, direction, partial: &mut edges.partial },
        });
        let [hidden_gradient, normalized] = scratch.arrays([scalar_rows.len(); 2]);
        message.layer.scalar_out.adjoint(sent_gradient, hidden_gradient);
        scaled_silu_adjoint(hidden, hidden_gradient);
        message.layer.scalar_in.adjoint(hidden_gradient, normalized);
        out.scalar.copy_from_slice(&message.gradients.scalar[scalar_rows.clone()]);
        message.layer.norm.adjoint(&message.saved.scalar[scalar_rows], normalized, out.scalar);
    }
}

impl<T: Number> Message<'_, T> {
    /// `x` of some atoms: saved, or recomputed.
    fn sent<'a>(&'a self, atoms: &Range<usize>, w: usize, recomputed: &'a [T]) -> &'a [T] {
        if self.saved.sent.is_empty() { recomputed } else { &self.saved.sent[rows(atoms, 3 * w)] }
    }

    /// Edges out of a block of atoms, of a task that starts at an atom.
    fn block<'a>(
        &self,
        atoms: &Range<usize>,
        start: usize,
        distance: &'a mut [T],
        direction: &'a mut [[T; 3]],
    ) -> Block<'a, T> {
        let edges = within(&self.edges.of(atoms), self.edges.first[start]);
        Block { atoms: atoms.clone(), distance: &mut distance[edges.clone()], direction: &mut direction[edges] }
    }
}

/// Tasks with their parts of the gradients of atoms, of rows of a width, and of edges.
fn backward_tasks<'a, T: Number>(
    batch: &Batch<'_, T>,
    tasks: &'a mut [TaskBuffers<T>],
    (gradients, w): (&'a mut Gradients<T>, usize),
    edges: &'a mut EdgeGradients<T>,
) -> Vec<BackwardTask<'a, T>> {
    let (mut scalar, mut vector) = (Parts::of(&mut gradients.scalar), Parts::of(&mut gradients.vector));
    let (mut distance, mut direction) = (Parts::of(&mut edges.distance), Parts::of(&mut edges.direction));
    let list = batch.edges.by_source();
    let parts = batch.tasks.iter().zip(tasks).map(|(atoms, buffers)| {
        let n_edges = list.of(atoms).len();
        BackwardTask {
            atoms: atoms.clone(),
            buffers,
            scalar: scalar.next(atoms.len() * w),
            vector: vector.next(atoms.len() * 3 * w),
            distance: distance.next(n_edges),
            direction: direction.next(n_edges),
        }
    });
    parts.collect()
}
