//! Activations, gradients and scratch memory of a call.

use std::ops::Range;

use potstill_kernels::Number;

use super::direct::GatedBuffers;
use crate::buffers::{EdgeBuffers, Scratch, resize};
use crate::domain::{Exchange, Rows};
use crate::sums::PairSums;
use crate::tasks::{Parts, rows};

/// Buffers of a call, reused by the next.
#[derive(Debug, Default)]
pub struct Buffers<T> {
    /// Activations of each layer.
    pub layers: Vec<Saved<T>>,
    /// `x` of the current layer and `W₁ norm(s) + b₁`, where layers do not save them.
    pub sent: Vec<T>,
    pub hidden: Vec<T>,
    /// Scalars and vectors after the last layer.
    pub scalar: Vec<T>,
    pub vector: Vec<T>,
    /// Argument of the activation in the energy head.
    pub energy_hidden: Vec<T>,
    /// Sums of the messages of the current layer, or `x̄` and `v̄`.
    pub sums: [Vec<PairSums<T>>; 2],
    /// Gradients of the sums of the layer that is being worked on.
    pub gradients: Gradients<T>,
    pub head: [GatedBuffers<T>; 2],
    pub tasks: Vec<TaskBuffers<T>>,
}

/// Gradients of the sums of a message: `s̃̄ / √2` and `ṽ̄`.
#[derive(Debug, Default)]
pub struct Gradients<T> {
    /// Shape: `[n_atoms, h]`.
    pub scalar: Vec<T>,
    /// Shape: `[n_atoms, 3, h]`.
    pub vector: Vec<T>,
}

/// Activations of one layer that the backward pass reads.
#[derive(Debug, Default)]
pub struct Saved<T> {
    /// `s`, `v` at the start; no vectors in the first layer.
    pub scalar: Vec<T>,
    pub vector: Vec<T>,
    /// `s̃`, `ṽ`, where the rest is recomputed; else empty.
    pub middle_scalar: Vec<T>,
    pub middle_vector: Vec<T>,
    /// `W₁ norm(s) + b₁` and `x`; empty where they are recomputed.
    pub hidden: Vec<T>,
    pub sent: Vec<T>,
    /// Activations of the update; empty where they are recomputed.
    pub update: UpdateSaved<T>,
}

/// Activations of the update besides its input.
#[derive(Debug, Default)]
pub struct UpdateSaved<T> {
    /// `p, q` of each component. Shape: `[n, 3, 2h]`.
    mixed: Vec<T>,
    /// Argument of the activation. Shape: `[n, h]`.
    hidden: Vec<T>,
    /// `γ`. Shape: `[n, 3h]`.
    gates: Vec<T>,
}

/// Mutable view of [`UpdateSaved`] for a range of atoms.
#[derive(Debug)]
pub struct UpdateSlicesMut<'a, T> {
    pub mixed: &'a mut [T],
    pub hidden: &'a mut [T],
    pub gates: &'a mut [T],
}

/// Read-only view of [`UpdateSaved`] for a range of atoms.
#[derive(Debug)]
pub struct UpdateSlices<'a, T> {
    pub mixed: &'a [T],
    pub hidden: &'a [T],
    pub gates: &'a [T],
}

/// Buffers of one task for a block of its atoms.
#[derive(Debug, Default)]
pub struct TaskBuffers<T> {
    pub scratch: Scratch<T>,
    pub edges: EdgeBuffers<T>,
    /// Recomputed activations of the update.
    pub update: UpdateSaved<T>,
}

impl<T: Number> Buffers<T> {
    /// Makes buffers for so many tasks.
    pub fn resize_tasks(&mut self, n: usize) {
        let Self { tasks, sums: [scalar, vector], .. } = self;
        tasks.resize_with(n.max(tasks.len()), TaskBuffers::default);
        scalar.resize_with(n.max(scalar.len()), PairSums::default);
        vector.resize_with(n.max(vector.len()), PairSums::default);
    }

    /// Sets all lengths for `n` atoms, with ghosts `n_rows`, and rows of width `w`.
    pub fn resize(&mut self, n: usize, n_rows: usize, n_layers: usize, w: usize, recomputes: bool) {
        self.layers.resize_with(n_layers, Saved::default);
        for (i, saved) in self.layers.iter_mut().enumerate() {
            saved.resize(n, w, recomputes);
            resize(&mut saved.sent, if recomputes { 0 } else { 3 * n_rows * w });
            // There are no vectors before the first layer.
            resize(&mut saved.vector, if i == 0 { 0 } else { 3 * n_rows * w });
        }
        resize(&mut self.sent, if recomputes { 3 * n_rows * w } else { 0 });
        resize(&mut self.hidden, if recomputes { n * w } else { 0 });
        resize(&mut self.scalar, n * w);
        resize(&mut self.vector, 3 * n * w);
    }
}

impl<T: Number> Buffers<T> {
    /// Refreshes what the message of a layer reads of ghosts: `x` and `v`.
    pub fn refresh_input(&mut self, layer: usize, w: usize, exchange: &mut dyn Exchange<T>) {
        let Saved { sent, vector, .. } = &mut self.layers[layer];
        let sent = if sent.is_empty() { &mut self.sent } else { sent };
        exchange.refresh(&mut [Rows { values: sent, width: 3 * w }, Rows { values: vector, width: 3 * w }]);
    }
}

impl<T: Number> Gradients<T> {
    /// Refreshes the gradients at ghosts.
    pub fn refresh(&mut self, w: usize, exchange: &mut dyn Exchange<T>) {
        let Self { scalar, vector } = self;
        exchange.refresh(&mut [Rows { values: scalar, width: w }, Rows { values: vector, width: 3 * w }]);
    }

    /// Sets the lengths for `n` atoms and rows of width `w`.
    pub fn resize(&mut self, n: usize, w: usize) {
        resize(&mut self.scalar, n * w);
        resize(&mut self.vector, 3 * n * w);
    }
}

impl<T: Number> Saved<T> {
    fn resize(&mut self, n: usize, w: usize, recomputes: bool) {
        let (rest, middle) = if recomputes { (0, n) } else { (n, 0) };
        resize(&mut self.scalar, n * w);
        resize(&mut self.middle_scalar, middle * w);
        resize(&mut self.middle_vector, 3 * middle * w);
        resize(&mut self.hidden, rest * w);
        self.update.resize(rest, w);
    }
}

impl<T: Number> UpdateSaved<T> {
    /// Sets the lengths for `n` atoms and rows of width `w`.
    pub fn resize(&mut self, n: usize, w: usize) {
        resize(&mut self.mixed, 6 * n * w);
        resize(&mut self.hidden, n * w);
        resize(&mut self.gates, 3 * n * w);
    }

    /// Mutable view of all atoms.
    pub fn all(&mut self) -> UpdateSlicesMut<'_, T> {
        UpdateSlicesMut { mixed: &mut self.mixed, hidden: &mut self.hidden, gates: &mut self.gates }
    }

    /// Read-only view of some atoms.
    pub fn read(&self, atoms: &Range<usize>, w: usize) -> UpdateSlices<'_, T> {
        UpdateSlices {
            mixed: &self.mixed[rows(atoms, 6 * w)],
            hidden: &self.hidden[rows(atoms, w)],
            gates: &self.gates[rows(atoms, 3 * w)],
        }
    }
}

/// Parts of [`UpdateSaved`], handed out one after the other.
pub struct UpdateParts<'a, T> {
    mixed: Parts<'a, T>,
    hidden: Parts<'a, T>,
    gates: Parts<'a, T>,
}

impl<'a, T> UpdateParts<'a, T> {
    /// View of all saved activations.
    pub fn of(saved: &'a mut UpdateSaved<T>) -> Self {
        Self {
            mixed: Parts::of(&mut saved.mixed),
            hidden: Parts::of(&mut saved.hidden),
            gates: Parts::of(&mut saved.gates),
        }
    }

    /// View of the next `n` atoms, with rows of width `w`.
    pub fn next(&mut self, n: usize, w: usize) -> UpdateSlicesMut<'a, T> {
        UpdateSlicesMut {
            mixed: self.mixed.next(6 * n * w),
            hidden: self.hidden.next(n * w),
            gates: self.gates.next(3 * n * w),
        }
    }
}

impl<T> UpdateSlicesMut<'_, T> {
    /// Mutable view of some of the atoms.
    pub fn block(&mut self, atoms: &Range<usize>, w: usize) -> UpdateSlicesMut<'_, T> {
        UpdateSlicesMut {
            mixed: &mut self.mixed[rows(atoms, 6 * w)],
            hidden: &mut self.hidden[rows(atoms, w)],
            gates: &mut self.gates[rows(atoms, 3 * w)],
        }
    }
}
