//! Rows and matrices as the kernels read them, and back.

use std::borrow::Cow;

use potstill_kernels::dense::Parts;
use potstill_kernels::edges::EdgeOrder;
use potstill_kernels::filters::SparseRows;
use potstill_kernels::number::{Number, lanes_here};

use super::MessageEdges;
use crate::ops::operation::Input;
use crate::ops::padding::{padded, unpadded};

/// Sizes of the arrays, and constants of the edges in the precision of the network.
pub(super) struct Layout<'a, T> {
    edges: &'a MessageEdges,
    value: Vec<[T; 2]>,
    /// Number of atoms.
    pub n: usize,
    /// Number of channels.
    pub h: usize,
    /// Number of channels with padding.
    pub width: usize,
    /// Factors of the three parts of the message, which the filters contain.
    factors: [T; 3],
}

impl<'a, T: Number> Layout<'a, T> {
    /// Layout for what is sent, of shape `[n, 3h]`.
    pub fn new(edges: &'a MessageEdges, sent: &Input<'_, T>) -> Self {
        let (n, wide) = sent.matrix();
        let h = wide / 3;
        let root = (h as f64).sqrt();
        Self {
            edges,
            value: edges.radial.value.iter().map(|v| v.map(T::of)).collect(),
            n,
            h,
            width: h.next_multiple_of(lanes_here::<T>()),
            factors: [1.0, 1.0 / (3.0_f64.sqrt() * root), 1.0 / root].map(T::of),
        }
    }

    /// Filters of the edges in an order, from a matrix of [`Self::table`].
    pub fn filters<'s>(&'s self, table: &'s [T], order: &'s EdgeOrder) -> SparseRows<'s, T> {
        let radial = &self.edges.radial;
        SparseRows {
            table,
            n_radial: radial.n_radial,
            first: &radial.first,
            column: &radial.column,
            value: &self.value,
            edge: &order.edge,
        }
    }

    /// Directions from target to source in an order, times a sign.
    pub fn directions(&self, order: &EdgeOrder, sign: T) -> Vec<[T; 3]> {
        order.edge.iter().map(|&e| self.edges.direction[e as usize].map(|c| sign * T::of(c))).collect()
    }

    /// Rows of parts of width `h`, each padded with zeros.
    pub fn padded<'r>(&self, rows: &'r [T]) -> Cow<'r, [T]> {
        padded(rows, self.h, self.width)
    }

    /// Rows without the padding of [`Self::padded`].
    pub fn unpadded(&self, rows: Vec<T>) -> Vec<T> {
        unpadded(rows, self.h, self.width)
    }

    /// Rows of three parts with a register of each part beside one of the next, padded with zeros.
    pub fn interleaved(&self, rows: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; rows.len() / self.h * self.width];
        for (to, from) in out.chunks_exact_mut(3 * self.width).zip(rows.chunks_exact(3 * self.h)) {
            self.runs(|place, run| to[place..place + run.len()].copy_from_slice(&from[run]));
        }
        out
    }

    /// Rows without the layout of [`Self::interleaved`].
    pub fn deinterleaved(&self, rows: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; rows.len() / self.width * self.h];
        for (to, from) in out.chunks_exact_mut(3 * self.h).zip(rows.chunks_exact(3 * self.width)) {
            self.runs(|place, run| to[run.clone()].copy_from_slice(&from[place..place + run.len()]));
        }
        out
    }

    /// Calls for each run of channels of a row with its place among interleaved parts.
    fn runs(&self, mut each: impl FnMut(usize, std::ops::Range<usize>)) {
        let lanes = lanes_here::<T>();
        for part in 0..3 {
            for (chunk, start) in (0..self.h).step_by(lanes).enumerate() {
                let end = (start + lanes).min(self.h);
                each((3 * chunk + part) * lanes, part * self.h + start..part * self.h + end);
            }
        }
    }

    /// Zeros of shape `[n, parts, width]`.
    pub fn zeros(&self, parts: usize) -> Vec<T> {
        vec![T::ZERO; self.n * parts * self.width]
    }

    /// Matrix `W` of shape `[3h, n_radial]` as kernels read it, times the factors. Shape: `[chunk, n_radial, 3, lanes]`.
    pub fn table(&self, weight: &[T]) -> Vec<T> {
        let n_radial = self.edges.radial.n_radial;
        let mut out = vec![T::ZERO; 3 * self.width * n_radial];
        for (o, row) in weight.chunks_exact(n_radial).enumerate() {
            let (start, factor) = (self.start(o), self.factors[o / self.h]);
            for (to, &value) in out[start..].iter_mut().step_by(3 * lanes_here::<T>()).zip(row) {
                *to = value * factor;
            }
        }
        out
    }

    /// Gradient with respect to `W`, given that with respect to [`Self::table`].
    pub fn weight(&self, table: &[T]) -> Vec<T> {
        let n_radial = self.edges.radial.n_radial;
        let mut out = vec![T::ZERO; 3 * self.h * n_radial];
        for (o, row) in out.chunks_exact_mut(n_radial).enumerate() {
            let (start, factor) = (self.start(o), self.factors[o / self.h]);
            for (to, &value) in row.iter_mut().zip(table[start..].iter().step_by(3 * lanes_here::<T>())) {
                *to = value * factor;
            }
        }
        out
    }

    /// Place of the first number of a row of `W` in [`Self::table`]; the next ones follow at a distance of `3 · lanes`.
    fn start(&self, row: usize) -> usize {
        let lanes = lanes_here::<T>();
        let place = Parts::interleaved::<T>(3, self.h).place(row);
        place / (3 * lanes) * self.edges.radial.n_radial * 3 * lanes + place % (3 * lanes)
    }
}
