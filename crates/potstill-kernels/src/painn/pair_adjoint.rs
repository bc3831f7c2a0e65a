//! The adjoint of the messages between pairs of atoms.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use super::EdgeGradients;
use super::adjoint::add_lanes;
use super::pair_sum::both_directions;
use crate::filters::SplineRows;
use crate::number::{Number, Simd, WithSimd, lanes};
use crate::registers::{add_three, dot, fused_three, scaled, set_three, three};

/// Chunks after which sums over channels are added up over the lanes.
const CHUNKS_PER_SUM: usize = 4;

/// Gradients that the pairs of some atoms with later ones bring to both and, of each pair, with respect to its distance and direction,
/// the sums of both messages. All are added.
pub struct PairAdjoint<'a, T> {
    /// Filters and pairs of the atoms.
    pub filters: SplineRows<'a, T>,
    /// First pair of each atom of `atoms`, and the number of pairs at the end, counted from any number. Shape: `[n + 1]`.
    pub first: &'a [usize],
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `x` of all atoms, laid out as in [`MessageSum`](super::MessageSum). Shape: `[n_atoms, 3w]`.
    pub sent: &'a [T],
    /// `v` of all atoms; empty where all are zero: then gradients of pairs alone are computed. Shape: `[n_atoms, 3, w]`.
    pub vector: &'a [T],
    /// Gradient of the scalar sums of all atoms. Shape: `[n_atoms, w]`.
    pub scalar_gradient: &'a [T],
    /// Gradient of the vector sums of all atoms. Shape: `[n_atoms, 3, w]`.
    pub vector_gradient: &'a [T],
    /// Padded width `w` of a row.
    pub width: usize,
    /// Row of sums of the first atom of the range; the others follow.
    pub own_sums: usize,
    /// Sums `x̄`. Shape: `[n_sums, 3w]`.
    pub sent_out: &'a mut [T],
    /// Sums `v̄`. Shape: `[n_sums, 3, w]`.
    pub vector_out: &'a mut [T],
    /// Results of the pairs, with respect to the direction from the first atom to the second.
    pub geometry: EdgeGradients<'a, T>,
}

/// Registers of an atom: `x`, `v`, and the gradients `a`, `b` of its sums.
#[derive(Clone, Copy)]
struct Atom<R> {
    x: [R; 3],
    v: [R; 3],
    a: R,
    b: [R; 3],
}

/// Sums `x̄`, `v̄` of an atom.
#[derive(Clone, Copy)]
struct Sums<R> {
    x: [R; 3],
    v: [R; 3],
}

impl<T: Number> WithSimd for PairAdjoint<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vector.is_empty() {
            true => self.run::<S, false>(simd),
            false => self.run::<S, true>(simd),
        }
    }
}

impl<T: Number> PairAdjoint<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool>(self, simd: S) {
        let wide = self.width / lanes::<T, S>();
        let Self { filters, first, atoms, own_sums, .. } = self;
        let EdgeGradients { distance, direction, partial } = self.geometry;
        let mut most = 0;
        for k in 0..atoms.len() {
            most = most.max(first[k + 1] - first[k]);
        }
        partial.resize((4 * most * lanes::<T, S>()).max(partial.len()), T::ZERO);
        let (partial, _) = T::registers_mut::<S>(partial).as_chunks_mut::<4>();
        let (sent, _) = T::registers::<S>(self.sent).as_chunks::<3>();
        let (sent_out, _) = T::registers_mut::<S>(self.sent_out).as_chunks_mut::<3>();
        let (vector, vector_out) = (T::registers::<S>(self.vector), T::registers_mut::<S>(self.vector_out));
        let s_gradient = T::registers::<S>(self.scalar_gradient);
        let v_gradient = T::registers::<S>(self.vector_gradient);
        let zero = T::splat(simd, T::ZERO);
        for group in (0..wide).step_by(CHUNKS_PER_SUM) {
            for (k, atom) in atoms.clone().enumerate() {
                let own = first[k] - first[0]..first[k + 1] - first[0];
                let pairs = &filters.edges()[own.clone()];
                let partial = &mut partial[..pairs.len()];
                for chunk in group..(group + CHUNKS_PER_SUM).min(wide) {
                    let table = filters.table::<S, 3>(chunk);
                    let place = (own_sums + k) * wide;
                    let one = Atom {
                        x: sent[atom * wide + chunk],
                        v: if VECTORS { three(vector, 3 * atom * wide + chunk, wide) } else { [zero; 3] },
                        a: s_gradient[atom * wide + chunk],
                        b: three(v_gradient, 3 * atom * wide + chunk, wide),
                    };
                    let mut sums = Sums { x: [zero; 3], v: [zero; 3] };
                    if VECTORS {
                        sums = Sums { x: sent_out[place + chunk], v: three(vector_out, 3 * place + chunk, wide) };
                    }
                    for (pair, partial) in pairs.iter().zip(partial.iter_mut()) {
                        let (other, back) = (pair.other as usize * wide, pair.sums as usize * wide);
                        let rows = filters.rows_of(table, pair);
                        let two = Atom {
                            x: sent[other + chunk],
                            v: if VECTORS { three(vector, 3 * other + chunk, wide) } else { [zero; 3] },
                            a: s_gradient[other + chunk],
                            b: three(v_gradient, 3 * other + chunk, wide),
                        };
                        let start = if chunk == group { [zero; 4] } else { *partial };
                        // What a part adds is written before the next is begun: else the compiler works on all three at a time, for which
                        // there are too few registers.
                        let [f, slope] = pair.part::<S, 3>(simd, rows, 0);
                        let both = T::fused(simd, one.a, two.x[0], T::times(simd, two.a, one.x[0]));
                        partial[0] = T::fused(simd, both, slope, start[0]);
                        if VECTORS {
                            sums.x[0] = T::fused(simd, two.a, f, sums.x[0]);
                            let out = &mut sent_out[back + chunk][0];
                            *out = T::fused(simd, one.a, f, *out);
                            let [f, slope] = pair.part::<S, 3>(simd, rows, 1);
                            let g = dot::<T, S>(simd, one.b, two.v);
                            let h = dot::<T, S>(simd, two.b, one.v);
                            let both = T::fused(simd, g, two.x[1], T::times(simd, h, one.x[1]));
                            partial[0] = T::fused(simd, both, slope, partial[0]);
                            sums.x[1] = T::fused(simd, h, f, sums.x[1]);
                            let out = &mut sent_out[back + chunk][1];
                            *out = T::fused(simd, g, f, *out);
                            sums.v = fused_three::<T, S>(simd, two.b, T::times(simd, one.x[1], f), sums.v);
                            let add = scaled::<T, S>(simd, one.b, T::times(simd, two.x[1], f));
                            add_three::<T, S>(simd, vector_out, 3 * back + chunk, wide, add);
                        }
                        let [f, slope] = pair.part::<S, 3>(simd, rows, 2);
                        let [u, minus] = both_directions::<T, S>(simd, pair.direction);
                        let g = dot::<T, S>(simd, one.b, u);
                        let h = dot::<T, S>(simd, two.b, minus);
                        let both = T::fused(simd, g, two.x[2], T::times(simd, h, one.x[2]));
                        partial[0] = T::fused(simd, both, slope, partial[0]);
                        if VECTORS {
                            sums.x[2] = T::fused(simd, h, f, sums.x[2]);
                            let out = &mut sent_out[back + chunk][2];
                            *out = T::fused(simd, g, f, *out);
                        }
                        let across = T::times(simd, two.x[2], f);
                        let across = fused_three::<T, S>(simd, one.b, across, [start[1], start[2], start[3]]);
                        let against = T::times(simd, one.x[2], T::times(simd, f, T::splat(simd, -T::ONE)));
                        [partial[1], partial[2], partial[3]] = fused_three::<T, S>(simd, two.b, against, across);
                    }
                    if VECTORS {
                        sent_out[place + chunk] = sums.x;
                        set_three(vector_out, 3 * place + chunk, wide, sums.v);
                    }
                }
                add_lanes::<T, S>(simd, partial, &mut distance[own.clone()], &mut direction[own]);
            }
        }
    }
}
