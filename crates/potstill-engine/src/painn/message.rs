//! The kernels over edges: messages to the atoms, and their adjoint.
//!
//! Both work on one register of each row at a time and take all edges of a block of atoms for it, so that what an atom sums up stays
//! in registers and the part of the table that they read stays in the second cache. A message takes 18 multiplications for the filters
//! and 10 for the sums for each channel, its adjoint 36 and 23.
//!
//! Whatever touches a register must be inlined into the function that was compiled for its instructions, hence plain loops over indices
//! and no closures.
#![allow(clippy::needless_range_loop)]

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use potstill_kernels::number::{Number, Simd, WithSimd, lanes};

use crate::filters::{Rows, TERMS};
use crate::pairs::Fan;

/// The same register of the three components of a vector.
#[inline(always)]
fn three<R: Copy>(rows: &[R], start: usize, wide: usize) -> [R; 3] {
    let rows = &rows[start..start + 2 * wide + 1];
    [rows[0], rows[wide], rows[2 * wide]]
}

/// `p · q`
#[inline(always)]
fn product<T: Number, S: Simd>(simd: S, p: [T::Register<S>; 3], q: [T::Register<S>; 3]) -> T::Register<S> {
    T::fused(simd, p[0], q[0], T::fused(simd, p[1], q[1], T::times(simd, p[2], q[2])))
}

/// `s̃` and `ṽ` of some atoms.
pub(super) struct Gather<'a, T> {
    /// Of the edges into the atoms.
    pub filters: Rows<'a, T>,
    pub fan: &'a Fan<T>,
    pub atoms: Range<usize>,
    /// `s`, `v` (empty where there are no vectors yet) and `x` of all atoms.
    pub scalar: &'a [T],
    pub vector: &'a [T],
    pub sent: &'a [T],
    pub w: usize,
    pub s: &'a mut [T],
    pub v: &'a mut [T],
}

impl<T: Number> WithSimd for Gather<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vector.is_empty() {
            true => self.run::<S, false>(simd),
            false => self.run::<S, true>(simd),
        }
    }
}

impl<T: Number> Gather<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool>(self, simd: S) {
        let Self { filters, fan, atoms, scalar, vector, sent, w, s, v } = self;
        let wide = w / lanes::<T, S>();
        let (scalar, vector) = (T::registers::<S>(scalar), T::registers::<S>(vector));
        let (sent, _) = T::registers::<S>(sent).as_chunks::<3>();
        let (s, v) = (T::registers_mut::<S>(s), T::registers_mut::<S>(v));
        let half = T::splat(simd, T::of(FRAC_1_SQRT_2));
        let zero = T::splat(simd, T::ZERO);
        let offset = fan.first[atoms.start];
        for chunk in 0..wide {
            let table = filters.chunk::<S, 3>(chunk);
            for (k, atom) in atoms.clone().enumerate() {
                let mut sum = scalar[atom * wide + chunk];
                let mut sums = if VECTORS { three(vector, 3 * atom * wide + chunk, wide) } else { [zero; 3] };
                for e in fan.edges(atom) {
                    let source = fan.other[e] as usize;
                    let direction = fan.direction[e];
                    let rows = filters.at(table, e - offset);
                    let mut f = [zero; 3];
                    for m in 0..TERMS {
                        let weight = T::splat(simd, filters.weights[m][e - offset]);
                        for p in 0..3 {
                            if VECTORS || p != 1 {
                                f[p] = T::fused(simd, weight, rows[m][p], f[p]);
                            }
                        }
                    }
                    let x = sent[source * wide + chunk];
                    sum = T::fused(simd, x[0], f[0], sum);
                    let along = T::times(simd, x[2], f[2]);
                    for c in 0..3 {
                        sums[c] = T::fused(simd, T::splat(simd, direction[c]), along, sums[c]);
                    }
                    if VECTORS {
                        let through = T::times(simd, x[1], f[1]);
                        let v = three(vector, 3 * source * wide + chunk, wide);
                        for c in 0..3 {
                            sums[c] = T::fused(simd, v[c], through, sums[c]);
                        }
                    }
                }
                s[k * wide + chunk] = T::times(simd, sum, half);
                for c in 0..3 {
                    v[(3 * k + c) * wide + chunk] = sums[c];
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
    /// `x` and `v` of these atoms; `v` is empty for the first message, whose sources depend on nothing.
    pub sent: &'a [T],
    pub vector: &'a [T],
    /// `s̃̄ / √2` and `ṽ̄` of all atoms.
    pub bars: (&'a [T], &'a [T]),
    pub w: usize,
    /// `x̄` and `v̄` of these atoms, empty for the first message.
    pub sent_bar: &'a mut [T],
    pub vector_bar: &'a mut [T],
    /// Scratch.
    pub partial: &'a mut Vec<T>,
    /// What is added to: `d̄` and `ū` of the edges out of these atoms.
    pub distance: &'a mut [T],
    pub direction: &'a mut [[T; 3]],
}

/// Registers of a row that are worked on before what the edges get is summed up over lanes.
const GROUP: usize = 4;

impl<T: Number> WithSimd for Scatter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vector.is_empty() {
            true => self.run::<S, false>(simd),
            false => self.run::<S, true>(simd),
        }
    }
}

impl<T: Number> Scatter<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool>(self, simd: S) {
        let Self { filters, fan, atoms, sent, vector, bars, w, sent_bar, vector_bar, partial, distance, direction } =
            self;
        let wide = w / lanes::<T, S>();
        let most = atoms.clone().map(|atom| fan.edges(atom).len()).max().unwrap_or(0);
        partial.resize((4 * most * lanes::<T, S>()).max(partial.len()), T::ZERO);
        let (partial, _) = T::registers_mut::<S>(partial).as_chunks_mut::<4>();
        let (sent, _) = T::registers::<S>(sent).as_chunks::<3>();
        let (sent_bar, _) = T::registers_mut::<S>(sent_bar).as_chunks_mut::<3>();
        let (vector, vector_bar) = (T::registers::<S>(vector), T::registers_mut::<S>(vector_bar));
        let (s_bar, v_bar) = (T::registers::<S>(bars.0), T::registers::<S>(bars.1));
        let zero = T::splat(simd, T::ZERO);
        let offset = fan.first[atoms.start];
        for group in (0..wide).step_by(GROUP) {
            for (k, atom) in atoms.clone().enumerate() {
                let edges = fan.edges(atom);
                let partial = &mut partial[..edges.len()];
                for chunk in group..(group + GROUP).min(wide) {
                    let table = filters.chunk::<S, 3>(chunk);
                    let x = sent[k * wide + chunk];
                    let (mut x_sums, mut v, mut v_sums) = ([zero; 3], [zero; 3], [zero; 3]);
                    if VECTORS {
                        v = three(vector, 3 * k * wide + chunk, wide);
                        v_sums = three(v_bar, 3 * atom * wide + chunk, wide);
                    }
                    for (e, partial) in edges.clone().zip(partial.iter_mut()) {
                        let target = fan.other[e] as usize;
                        let rows = filters.at(table, e - offset);
                        let (mut f, mut df) = ([zero; 3], [zero; 3]);
                        for m in 0..TERMS {
                            let weight = T::splat(simd, filters.weights[m][e - offset]);
                            let slope = T::splat(simd, filters.slopes[m][e - offset]);
                            for p in 0..3 {
                                if VECTORS || p == 2 {
                                    f[p] = T::fused(simd, weight, rows[m][p], f[p]);
                                }
                                if VECTORS || p != 1 {
                                    df[p] = T::fused(simd, slope, rows[m][p], df[p]);
                                }
                            }
                        }
                        let a = s_bar[target * wide + chunk];
                        let b = three(v_bar, 3 * target * wide + chunk, wide);
                        // From the target to the source: the fan's turned round.
                        let [ux, uy, uz] = fan.direction[e];
                        let u = [T::splat(simd, -ux), T::splat(simd, -uy), T::splat(simd, -uz)];
                        let c = product::<T, S>(simd, b, u);
                        let mut along = T::times(simd, T::times(simd, c, x[2]), df[2]);
                        along = T::fused(simd, T::times(simd, a, x[0]), df[0], along);
                        if VECTORS {
                            let g = product::<T, S>(simd, b, v);
                            along = T::fused(simd, T::times(simd, g, x[1]), df[1], along);
                            x_sums[0] = T::fused(simd, a, f[0], x_sums[0]);
                            x_sums[1] = T::fused(simd, g, f[1], x_sums[1]);
                            x_sums[2] = T::fused(simd, c, f[2], x_sums[2]);
                            let through = T::times(simd, x[1], f[1]);
                            for c in 0..3 {
                                v_sums[c] = T::fused(simd, b[c], through, v_sums[c]);
                            }
                        }
                        let across = T::times(simd, x[2], f[2]);
                        *partial = match chunk == group {
                            true => [
                                along,
                                T::times(simd, b[0], across),
                                T::times(simd, b[1], across),
                                T::times(simd, b[2], across),
                            ],
                            false => [
                                T::plus(simd, along, partial[0]),
                                T::fused(simd, b[0], across, partial[1]),
                                T::fused(simd, b[1], across, partial[2]),
                                T::fused(simd, b[2], across, partial[3]),
                            ],
                        };
                    }
                    if VECTORS {
                        sent_bar[k * wide + chunk] = x_sums;
                        for c in 0..3 {
                            vector_bar[(3 * k + c) * wide + chunk] = v_sums[c];
                        }
                    }
                }
                for (e, partial) in edges.zip(partial) {
                    distance[e - offset] += T::sum(simd, partial[0]);
                    for c in 0..3 {
                        direction[e - offset][c] += T::sum(simd, partial[c + 1]);
                    }
                }
            }
        }
    }
}
