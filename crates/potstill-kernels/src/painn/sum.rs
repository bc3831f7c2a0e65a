//! The messages into some atoms.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use crate::edges::Edges;
use crate::filters::FilterRows;
use crate::number::{Number, Simd, WithSimd, lanes};
use crate::registers::{fused_three, set_three, splat_three, three};

/// Messages into some atoms.
pub struct MessageSum<'a, T, F> {
    /// Filters of the edges into the atoms.
    pub filters: F,
    /// Edges by target.
    pub edges: Edges<'a, T>,
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `x` of all atoms, a register of each part beside one of the next. Shape: `[n_atoms, 3w]`.
    pub sent: &'a [T],
    /// `v` of all atoms; empty where all are zero. Shape: `[n_atoms, 3, w]`.
    pub vector: &'a [T],
    /// `s` of all atoms; empty for the sums alone, without `s_i`, `v_i` and `1/√2`. Shape: `[n_atoms, w]`.
    pub scalar: &'a [T],
    /// Padded width `w` of a row.
    pub width: usize,
    /// Result `s̃` of the atoms. Shape: `[n, w]`.
    pub scalar_out: &'a mut [T],
    /// Result `ṽ` of the atoms. Shape: `[n, 3, w]`.
    pub vector_out: &'a mut [T],
}

impl<T: Number, F: FilterRows<T, 3>> WithSimd for MessageSum<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vector.is_empty() {
            true => self.run::<S, false>(simd),
            false => self.run::<S, true>(simd),
        }
    }
}

impl<T: Number, F: FilterRows<T, 3>> MessageSum<'_, T, F> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool>(self, simd: S) {
        let Self { filters, edges, atoms, sent, vector, scalar, width, scalar_out, vector_out } = self;
        let wide = width / lanes::<T, S>();
        let (scalar, vector) = (T::registers::<S>(scalar), T::registers::<S>(vector));
        let (sent, _) = T::registers::<S>(sent).as_chunks::<3>();
        let (scalar_out, vector_out) = (T::registers_mut::<S>(scalar_out), T::registers_mut::<S>(vector_out));
        let zero = T::splat(simd, T::ZERO);
        let has_input = !scalar.is_empty();
        let factor = T::splat(simd, T::of(if has_input { FRAC_1_SQRT_2 } else { 1.0 }));
        let offset = edges.first[atoms.start];
        for chunk in 0..wide {
            let table = filters.chunk::<S>(chunk);
            for (k, atom) in atoms.clone().enumerate() {
                let (mut sum, mut sums) = (zero, [zero; 3]);
                if has_input {
                    sum = scalar[atom * wide + chunk];
                    if VECTORS {
                        sums = three(vector, 3 * atom * wide + chunk, wide);
                    }
                }
                for e in edges.of(atom) {
                    let source = edges.other[e] as usize;
                    let f = filters.value(simd, table, e - offset);
                    let x = sent[source * wide + chunk];
                    let u = splat_three::<T, S>(simd, edges.direction[e]);
                    sum = T::fused(simd, x[0], f[0], sum);
                    sums = fused_three::<T, S>(simd, u, T::times(simd, x[2], f[2]), sums);
                    if VECTORS {
                        let v = three(vector, 3 * source * wide + chunk, wide);
                        sums = fused_three::<T, S>(simd, v, T::times(simd, x[1], f[1]), sums);
                    }
                }
                scalar_out[k * wide + chunk] = T::times(simd, sum, factor);
                set_three(vector_out, 3 * k * wide + chunk, wide, sums);
            }
        }
    }
}
