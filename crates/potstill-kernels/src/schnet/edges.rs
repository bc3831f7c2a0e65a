//! Convolution over directed edges and its adjoint.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use super::{ConvolutionFilters, parts};
use crate::edges::EdgeEnds;
use crate::filters::FilterRows;
use crate::number::{Number, Simd, WithSimd, lanes};

/// Convolution sums of some atoms, to which is added.
pub struct Convolution<'a, T, F, E> {
    /// Filters of the edges into the atoms, with [`parts`] of the width.
    pub filters: F,
    /// Edges by target.
    pub edges: E,
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `y` of all atoms. Shape: `[n_atoms, width]`.
    pub sent: &'a [T],
    /// Padded width of a row.
    pub width: usize,
    /// Sums `z` of the atoms, to which is added. Shape: `[n, width]`.
    pub sums: &'a mut [T],
}

impl<T: Number, F: ConvolutionFilters<T>, E: EdgeEnds<T>> WithSimd for Convolution<'_, T, F, E> {
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

impl<T: Number, F, E: EdgeEnds<T>> Convolution<'_, T, F, E> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S)
    where
        F: FilterRows<T, P>,
    {
        let Self { filters, edges, atoms, sent, width, sums } = self;
        let wide = width / lanes::<T, S>();
        let n_chunks = wide / P;
        let (sent, sums) = (T::registers::<S>(sent), T::registers_mut::<S>(sums));
        let zero = T::splat(simd, T::ZERO);
        let offset = edges.of(atoms.start).start;
        // A chunk of a table serves all atoms; rows of their own are best read while they are near.
        let (outer, inner) = if F::FROM_TABLE { (n_chunks, atoms.len()) } else { (atoms.len(), n_chunks) };
        for o in 0..outer {
            for i in 0..inner {
                let (chunk, k) = if F::FROM_TABLE { (o, i) } else { (i, o) };
                let table = filters.chunk::<S>(chunk);
                let mut sum = [zero; P];
                for p in 0..P {
                    sum[p] = sums[k * wide + p * n_chunks + chunk];
                }
                for e in edges.of(atoms.start + k) {
                    let source = edges.other(e);
                    let f = filters.value(simd, table, e - offset);
                    let y = &sent[source * wide..(source + 1) * wide];
                    for p in 0..P {
                        sum[p] = T::fused(simd, y[p * n_chunks + chunk], f[p], sum[p]);
                    }
                }
                for p in 0..P {
                    sums[k * wide + p * n_chunks + chunk] = sum[p];
                }
            }
        }
    }
}

/// Gradients that some atoms get from the edges out of them and, with `GEOMETRY`, gradients of the lengths of these edges.
pub struct ConvolutionAdjoint<'a, T, F, E, const GEOMETRY: bool> {
    /// Filters of the edges out of the atoms, with [`parts`] of the width.
    pub filters: F,
    /// Edges by source.
    pub edges: E,
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `y` of these atoms; unused without geometry. Shape: `[n, width]`.
    pub sent: &'a [T],
    /// `z̄` of all atoms. Shape: `[n_atoms, width]`.
    pub sum_gradient: &'a [T],
    /// Padded width of a row.
    pub width: usize,
    /// Gradient `ȳ` of the atoms, to which is added. Shape: `[n, width]`.
    pub sent_out: &'a mut [T],
    /// Result `d̄` of the edges out of the atoms, to which is added. Shape: `[n_edges]`.
    pub distance: &'a mut [T],
    /// Sums over channels before they are added up over the lanes; grows as needed.
    pub partial: &'a mut Vec<T>,
}

impl<T: Number, F: ConvolutionFilters<T>, E: EdgeEnds<T>, const GEOMETRY: bool> WithSimd
    for ConvolutionAdjoint<'_, T, F, E, GEOMETRY>
{
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

impl<T: Number, F, E: EdgeEnds<T>, const GEOMETRY: bool> ConvolutionAdjoint<'_, T, F, E, GEOMETRY> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S)
    where
        F: FilterRows<T, P>,
    {
        let Self { filters, edges, atoms, sent, sum_gradient, width, sent_out, distance, partial } = self;
        let wide = width / lanes::<T, S>();
        let n_chunks = wide / P;
        let most = if GEOMETRY { edges.most(atoms.clone()) } else { 0 };
        partial.resize((most * lanes::<T, S>()).max(partial.len()), T::ZERO);
        let partial = T::registers_mut::<S>(partial);
        let (sent, sent_out) = (T::registers::<S>(sent), T::registers_mut::<S>(sent_out));
        let sum_gradient = T::registers::<S>(sum_gradient);
        let zero = T::splat(simd, T::ZERO);
        let offset = edges.of(atoms.start).start;
        for (k, atom) in atoms.clone().enumerate() {
            let own = edges.of(atom);
            let partial = if GEOMETRY { &mut partial[..own.len()] } else { &mut partial[..0] };
            for chunk in 0..n_chunks {
                let table = filters.chunk::<S>(chunk);
                let (mut y, mut sums) = ([zero; P], [zero; P]);
                for p in 0..P {
                    sums[p] = sent_out[k * wide + p * n_chunks + chunk];
                }
                if GEOMETRY {
                    for p in 0..P {
                        y[p] = sent[k * wide + p * n_chunks + chunk];
                    }
                }
                for (i, e) in own.clone().enumerate() {
                    let target = edges.other(e);
                    let [f, df] = match GEOMETRY {
                        true => filters.value_and_slope(simd, table, e - offset),
                        false => [filters.value(simd, table, e - offset), [zero; P]],
                    };
                    let z = &sum_gradient[target * wide..(target + 1) * wide];
                    for p in 0..P {
                        sums[p] = T::fused(simd, z[p * n_chunks + chunk], f[p], sums[p]);
                    }
                    if GEOMETRY {
                        let partial = &mut partial[i];
                        let mut along = if chunk == 0 { zero } else { *partial };
                        for p in 0..P {
                            along = T::fused(simd, T::times(simd, z[p * n_chunks + chunk], y[p]), df[p], along);
                        }
                        *partial = along;
                    }
                }
                for p in 0..P {
                    sent_out[k * wide + p * n_chunks + chunk] = sums[p];
                }
            }
            if GEOMETRY {
                for (e, partial) in own.zip(partial.iter()) {
                    distance[e - offset] += T::sum(simd, *partial);
                }
            }
        }
    }
}
