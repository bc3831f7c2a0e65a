//! The messages into some atoms.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use crate::edges::EdgeEnds;
use crate::filters::FilterRows;
use crate::number::{Number, Simd, WithSimd, lanes};
use crate::registers::{fused_three, set_three, splat_three, three};

/// Messages into some atoms, added to sums.
pub struct MessageSum<'a, T, F, E> {
    /// Filters of the edges into the atoms.
    pub filters: F,
    /// Edges by target.
    pub edges: E,
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `x` of all atoms, a register of each part beside one of the next. Shape: `[n_atoms, 3w]`.
    pub sent: &'a [T],
    /// `v` of all atoms; empty where all are zero. Shape: `[n_atoms, 3, w]`.
    pub vector: &'a [T],
    /// Padded width `w` of a row.
    pub width: usize,
    /// Sums of scalars at the atoms, to which is added. Shape: `[n, w]`.
    pub scalar_out: &'a mut [T],
    /// Sums of vectors at the atoms, to which is added. Shape: `[n, 3, w]`.
    pub vector_out: &'a mut [T],
}

impl<T: Number, F: FilterRows<T, 3>, E: EdgeEnds<T>> WithSimd for MessageSum<'_, T, F, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vector.is_empty() {
            true => self.run::<S, false>(simd),
            false => self.run::<S, true>(simd),
        }
    }
}

impl<T: Number, F: FilterRows<T, 3>, E: EdgeEnds<T>> MessageSum<'_, T, F, E> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool>(self, simd: S) {
        let Self { filters, edges, atoms, sent, vector, width, scalar_out, vector_out } = self;
        let wide = width / lanes::<T, S>();
        let vector = T::registers::<S>(vector);
        let (sent, _) = T::registers::<S>(sent).as_chunks::<3>();
        let (scalar_out, vector_out) = (T::registers_mut::<S>(scalar_out), T::registers_mut::<S>(vector_out));
        let offset = edges.of(atoms.start).start;
        for chunk in 0..wide {
            let table = filters.chunk::<S>(chunk);
            for (k, atom) in atoms.clone().enumerate() {
                let mut sum = scalar_out[k * wide + chunk];
                let mut sums = three(vector_out, 3 * k * wide + chunk, wide);
                for e in edges.of(atom) {
                    let source = edges.other(e);
                    let f = filters.value(simd, table, e - offset);
                    let x = sent[source * wide + chunk];
                    let u = splat_three::<T, S>(simd, edges.direction(e));
                    sum = T::fused(simd, x[0], f[0], sum);
                    sums = fused_three::<T, S>(simd, u, T::times(simd, x[2], f[2]), sums);
                    if VECTORS {
                        let v = three(vector, 3 * source * wide + chunk, wide);
                        sums = fused_three::<T, S>(simd, v, T::times(simd, x[1], f[1]), sums);
                    }
                }
                scalar_out[k * wide + chunk] = sum;
                set_three(vector_out, 3 * k * wide + chunk, wide, sums);
            }
        }
    }
}
