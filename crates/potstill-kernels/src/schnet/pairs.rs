//! Convolution over pairs of atoms, in both directions, and its adjoint.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use super::parts;
use crate::filters::SplineRows;
use crate::number::{Number, Simd, WithSimd, lanes};

/// Convolution between some atoms and the later ones that they are paired with, added to the sums of both.
///
/// The second atom of a pair adds to row `sums` of the results.
pub struct PairConvolution<'a, T> {
    /// Filters, with [`parts`] of the width, and pairs of the atoms.
    pub filters: SplineRows<'a, T>,
    /// First pair of each atom of `atoms`, and the number of pairs at the end, counted from any number. Shape: `[n + 1]`.
    pub first: &'a [usize],
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `y` of all atoms. Shape: `[n_atoms, width]`.
    pub sent: &'a [T],
    /// Padded width of a row.
    pub width: usize,
    /// Row of sums of the first atom of the range; the others follow.
    pub own_sums: usize,
    /// Sums `z`, to which is added. Shape: `[n_sums, width]`.
    pub sums: &'a mut [T],
}

impl<T: Number> WithSimd for PairConvolution<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match parts::<T>(self.width) {
            4 => self.run::<S, 4>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<T: Number> PairConvolution<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S) {
        let Self { filters, first, atoms, sent, width, own_sums, sums } = self;
        let wide = width / lanes::<T, S>();
        let n_chunks = wide / P;
        let (sent, sums) = (T::registers::<S>(sent), T::registers_mut::<S>(sums));
        for chunk in 0..n_chunks {
            let table = filters.table::<S, P>(chunk);
            for (k, atom) in atoms.clone().enumerate() {
                let own = (own_sums + k) * wide;
                let x = read::<_, P>(&sent[atom * wide..(atom + 1) * wide], chunk);
                let mut sum = read::<_, P>(&sums[own..own + wide], chunk);
                for pair in &filters.edges()[first[k] - first[0]..first[k + 1] - first[0]] {
                    let (other, back) = (pair.other as usize * wide, pair.sums as usize * wide);
                    let f = pair.value::<S, P>(simd, filters.rows_of(table, pair));
                    let y = read::<_, P>(&sent[other..other + wide], chunk);
                    let out = &mut sums[back..back + wide];
                    for p in 0..P {
                        sum[p] = T::fused(simd, y[p], f[p], sum[p]);
                        let out = &mut out[p * n_chunks + chunk];
                        *out = T::fused(simd, x[p], f[p], *out);
                    }
                }
                for p in 0..P {
                    sums[own + p * n_chunks + chunk] = sum[p];
                }
            }
        }
    }
}

/// Register of each part of a row.
#[inline(always)]
fn read<R: Copy, const P: usize>(row: &[R], chunk: usize) -> [R; P] {
    let n_chunks = row.len() / P;
    let mut parts = [row[chunk]; P];
    for p in 1..P {
        parts[p] = row[p * n_chunks + chunk];
    }
    parts
}

/// Gradients that the pairs of some atoms with later ones bring to both and, of each pair, with respect to its length, the sum of both
/// directions. All are added.
pub struct PairConvolutionAdjoint<'a, T> {
    /// Filters, with [`parts`] of the width, and pairs of the atoms.
    pub filters: SplineRows<'a, T>,
    /// First pair of each atom of `atoms`, and the number of pairs at the end, counted from any number. Shape: `[n + 1]`.
    pub first: &'a [usize],
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `y` of all atoms. Shape: `[n_atoms, width]`.
    pub sent: &'a [T],
    /// `z̄` of all atoms. Shape: `[n_atoms, width]`.
    pub sum_gradient: &'a [T],
    /// Padded width of a row.
    pub width: usize,
    /// Row of sums of the first atom of the range; the others follow.
    pub own_sums: usize,
    /// Sums `ȳ`. Shape: `[n_sums, width]`.
    pub sent_out: &'a mut [T],
    /// Sums `d̄` of the pairs. Shape: `[n_pairs]`.
    pub distance: &'a mut [T],
    /// Sums over channels before they are added up over the lanes; grows as needed.
    pub partial: &'a mut Vec<T>,
}

impl<T: Number> WithSimd for PairConvolutionAdjoint<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match parts::<T>(self.width) {
            4 => self.run::<S, 4>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<T: Number> PairConvolutionAdjoint<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S) {
        let Self { filters, first, atoms, sent, sum_gradient, width, own_sums, sent_out, distance, partial } = self;
        let wide = width / lanes::<T, S>();
        let n_chunks = wide / P;
        let mut most = 0;
        for k in 0..atoms.len() {
            most = most.max(first[k + 1] - first[k]);
        }
        partial.resize((most * lanes::<T, S>()).max(partial.len()), T::ZERO);
        let partial = T::registers_mut::<S>(partial);
        let (sent, sent_out) = (T::registers::<S>(sent), T::registers_mut::<S>(sent_out));
        let sum_gradient = T::registers::<S>(sum_gradient);
        let zero = T::splat(simd, T::ZERO);
        for (k, atom) in atoms.enumerate() {
            let own = first[k] - first[0]..first[k + 1] - first[0];
            let pairs = &filters.edges()[own.clone()];
            let partial = &mut partial[..pairs.len()];
            let place = (own_sums + k) * wide;
            for chunk in 0..n_chunks {
                let table = filters.table::<S, P>(chunk);
                let x = read::<_, P>(&sent[atom * wide..(atom + 1) * wide], chunk);
                let own_gradient = read::<_, P>(&sum_gradient[atom * wide..(atom + 1) * wide], chunk);
                let mut sums = read::<_, P>(&sent_out[place..place + wide], chunk);
                for (pair, partial) in pairs.iter().zip(partial.iter_mut()) {
                    let (other, back) = (pair.other as usize * wide, pair.sums as usize * wide);
                    let rows = filters.rows_of(table, pair);
                    let y = read::<_, P>(&sent[other..other + wide], chunk);
                    let gradient = read::<_, P>(&sum_gradient[other..other + wide], chunk);
                    let out = &mut sent_out[back..back + wide];
                    let mut along = if chunk == 0 { zero } else { *partial };
                    for p in 0..P {
                        let [f, slope] = pair.part::<S, P>(simd, rows, p);
                        sums[p] = T::fused(simd, gradient[p], f, sums[p]);
                        let out = &mut out[p * n_chunks + chunk];
                        *out = T::fused(simd, own_gradient[p], f, *out);
                        let both = T::fused(simd, own_gradient[p], y[p], T::times(simd, gradient[p], x[p]));
                        along = T::fused(simd, both, slope, along);
                    }
                    *partial = along;
                }
                for p in 0..P {
                    sent_out[place + p * n_chunks + chunk] = sums[p];
                }
            }
            for (distance, partial) in distance[own].iter_mut().zip(partial.iter()) {
                *distance += T::sum(simd, *partial);
            }
        }
    }
}
