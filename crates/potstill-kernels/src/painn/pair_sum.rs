//! The messages between pairs of atoms, in both directions.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use crate::filters::SplineRows;
use crate::number::{Number, Simd, WithSimd, lanes};
use crate::registers::{fused_three, set_three, splat_three, three};

/// Messages between some atoms and the later ones that they are paired with, added to the sums of both.
///
/// Both directions have one filter, which is made once. The second atom of a pair adds to row `sums` of the results.
pub struct PairSum<'a, T> {
    /// Filters and pairs of the atoms.
    pub filters: SplineRows<'a, T>,
    /// First pair of each atom of `atoms`, and the number of pairs at the end, counted from any number. Shape: `[n + 1]`.
    pub first: &'a [usize],
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `x` of all atoms, laid out as in [`MessageSum`](super::MessageSum). Shape: `[n_atoms, 3w]`.
    pub sent: &'a [T],
    /// `v` of all atoms; empty where all are zero. Shape: `[n_atoms, 3, w]`.
    pub vector: &'a [T],
    /// Padded width `w` of a row.
    pub width: usize,
    /// Row of sums of the first atom of the range; the others follow.
    pub own_sums: usize,
    /// Sums of scalars, to which is added. Shape: `[n_sums, w]`.
    pub scalar_out: &'a mut [T],
    /// Sums of vectors, to which is added. Shape: `[n_sums, 3, w]`.
    pub vector_out: &'a mut [T],
}

impl<T: Number> WithSimd for PairSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vector.is_empty() {
            true => self.run::<S, false>(simd),
            false => self.run::<S, true>(simd),
        }
    }
}

impl<T: Number> PairSum<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool>(self, simd: S) {
        let Self { filters, first, atoms, sent, vector, width, own_sums, scalar_out, vector_out } = self;
        let wide = width / lanes::<T, S>();
        let vector = T::registers::<S>(vector);
        let (sent, _) = T::registers::<S>(sent).as_chunks::<3>();
        let (scalar_out, vector_out) = (T::registers_mut::<S>(scalar_out), T::registers_mut::<S>(vector_out));
        let zero = T::splat(simd, T::ZERO);
        for chunk in 0..wide {
            let table = filters.table::<S, 3>(chunk);
            for (k, atom) in atoms.clone().enumerate() {
                let own = own_sums + k;
                let x = sent[atom * wide + chunk];
                let v = if VECTORS { three(vector, 3 * atom * wide + chunk, wide) } else { [zero; 3] };
                let mut sum = scalar_out[own * wide + chunk];
                let mut sums = three(vector_out, 3 * own * wide + chunk, wide);
                for pair in &filters.edges()[first[k] - first[0]..first[k + 1] - first[0]] {
                    let (other, place) = (pair.other as usize * wide, pair.sums as usize * wide);
                    let f = pair.value::<S, 3>(simd, filters.rows_of(table, pair));
                    let y = sent[other + chunk];
                    // To the first atom, and to the second; the direction points from the first to the second.
                    let [u, minus] = both_directions::<T, S>(simd, pair.direction);
                    sum = T::fused(simd, y[0], f[0], sum);
                    sums = fused_three::<T, S>(simd, u, T::times(simd, y[2], f[2]), sums);
                    let back = &mut scalar_out[place + chunk];
                    *back = T::fused(simd, x[0], f[0], *back);
                    let mut add = three(vector_out, 3 * place + chunk, wide);
                    add = fused_three::<T, S>(simd, minus, T::times(simd, x[2], f[2]), add);
                    if VECTORS {
                        let w = three(vector, 3 * other + chunk, wide);
                        sums = fused_three::<T, S>(simd, w, T::times(simd, y[1], f[1]), sums);
                        add = fused_three::<T, S>(simd, v, T::times(simd, x[1], f[1]), add);
                    }
                    set_three(vector_out, 3 * place + chunk, wide, add);
                }
                scalar_out[own * wide + chunk] = sum;
                set_three(vector_out, 3 * own * wide + chunk, wide, sums);
            }
        }
    }
}

/// Registers of a direction, and of the opposite one.
#[inline(always)]
pub(super) fn both_directions<T: Number, S: Simd>(simd: S, [x, y, z]: [T; 3]) -> [[T::Register<S>; 3]; 2] {
    [splat_three::<T, S>(simd, [x, y, z]), splat_three::<T, S>(simd, [-x, -y, -z])]
}
