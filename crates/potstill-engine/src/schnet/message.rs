//! The kernels over edges: sums of messages, and their adjoint.
//!
//! Both work on some registers of each row at a time and take all edges of a block of atoms for them, as PaiNN's do.
#![allow(clippy::needless_range_loop)] // See there.

use std::ops::Range;

use potstill_kernels::number::{Number, Simd, WithSimd, lanes, lanes_here};

use crate::filters::{Rows, TERMS};
use crate::pairs::Fan;

/// Registers of a row of that width that kernels work on together: as many as divide the row, up to four.
pub(super) fn parts<T: Number>(width: usize) -> usize {
    match width / lanes_here::<T>() {
        n if n % 4 == 0 => 4,
        n if n % 2 == 0 => 2,
        _ => 1,
    }
}

/// `Σ_j y_j ∘ w(d)` of some atoms.
pub(super) struct Gather<'a, T> {
    /// Of the edges into the atoms.
    pub filters: Rows<'a, T>,
    pub fan: &'a Fan<T>,
    pub atoms: Range<usize>,
    pub parts: usize,
    /// `y` of all atoms.
    pub sent: &'a [T],
    pub wide: usize,
    pub sums: &'a mut [T],
}

impl<T: Number> WithSimd for Gather<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.parts {
            4 => self.run::<S, 4>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<T: Number> Gather<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S) {
        let Self { filters, fan, atoms, sent, wide, sums, .. } = self;
        let wide = wide / lanes::<T, S>();
        let n_chunks = wide / P;
        let (sent, sums) = (T::registers::<S>(sent), T::registers_mut::<S>(sums));
        let zero = T::splat(simd, T::ZERO);
        let offset = fan.first[atoms.start];
        for chunk in 0..n_chunks {
            let table = filters.chunk::<S, P>(chunk);
            for (k, atom) in atoms.clone().enumerate() {
                let mut sum = [zero; P];
                for e in fan.edges(atom) {
                    let source = fan.other[e] as usize;
                    let rows = filters.at(table, e - offset);
                    let mut f = [zero; P];
                    for m in 0..TERMS {
                        let weight = T::splat(simd, filters.weights[m][e - offset]);
                        for p in 0..P {
                            f[p] = T::fused(simd, weight, rows[m][p], f[p]);
                        }
                    }
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

/// What some atoms get back from the edges out of them, and what these edges get.
pub(super) struct Scatter<'a, T> {
    /// Of the edges out of the atoms.
    pub filters: Rows<'a, T>,
    pub fan: &'a Fan<T>,
    pub atoms: Range<usize>,
    pub parts: usize,
    /// `y` of these atoms.
    pub sent: &'a [T],
    /// `z̄` of all atoms.
    pub summed_bar: &'a [T],
    pub wide: usize,
    /// `ȳ` of these atoms.
    pub sent_bar: &'a mut [T],
    /// Scratch.
    pub partial: &'a mut Vec<T>,
    /// What is added to: `d̄` of the edges out of these atoms.
    pub distance: &'a mut [T],
}

impl<T: Number> WithSimd for Scatter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.parts {
            4 => self.run::<S, 4>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<T: Number> Scatter<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S) {
        let Self { filters, fan, atoms, sent, summed_bar, wide, sent_bar, partial, distance, .. } = self;
        let wide = wide / lanes::<T, S>();
        let n_chunks = wide / P;
        let most = atoms.clone().map(|atom| fan.edges(atom).len()).max().unwrap_or(0);
        partial.resize((most * lanes::<T, S>()).max(partial.len()), T::ZERO);
        let partial = T::registers_mut::<S>(&mut partial[..most * lanes::<T, S>()]);
        let (sent, sent_bar) = (T::registers::<S>(sent), T::registers_mut::<S>(sent_bar));
        let summed_bar = T::registers::<S>(summed_bar);
        let zero = T::splat(simd, T::ZERO);
        let offset = fan.first[atoms.start];
        for (k, atom) in atoms.clone().enumerate() {
            let edges = fan.edges(atom);
            let partial = &mut partial[..edges.len()];
            for chunk in 0..n_chunks {
                let table = filters.chunk::<S, P>(chunk);
                let (mut y, mut sums) = ([zero; P], [zero; P]);
                for p in 0..P {
                    y[p] = sent[k * wide + p * n_chunks + chunk];
                }
                for (e, partial) in edges.clone().zip(partial.iter_mut()) {
                    let target = fan.other[e] as usize;
                    let rows = filters.at(table, e - offset);
                    let (mut f, mut df) = ([zero; P], [zero; P]);
                    for m in 0..TERMS {
                        let weight = T::splat(simd, filters.weights[m][e - offset]);
                        let slope = T::splat(simd, filters.slopes[m][e - offset]);
                        for p in 0..P {
                            f[p] = T::fused(simd, weight, rows[m][p], f[p]);
                            df[p] = T::fused(simd, slope, rows[m][p], df[p]);
                        }
                    }
                    let bar = &summed_bar[target * wide..(target + 1) * wide];
                    let mut along = if chunk == 0 { zero } else { *partial };
                    for p in 0..P {
                        let bar = bar[p * n_chunks + chunk];
                        sums[p] = T::fused(simd, bar, f[p], sums[p]);
                        along = T::fused(simd, T::times(simd, bar, y[p]), df[p], along);
                    }
                    *partial = along;
                }
                for p in 0..P {
                    sent_bar[k * wide + p * n_chunks + chunk] = sums[p];
                }
            }
            for (e, partial) in edges.zip(partial) {
                distance[e - offset] += T::sum(simd, *partial);
            }
        }
    }
}
