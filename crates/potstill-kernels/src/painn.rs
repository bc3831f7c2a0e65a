//! PaiNN's messages over edges and their adjoint (Schütt, Unke, Gastegger, ICML 2021, arXiv 2102.03150, eqs. 7 and 8).
//!
//! With `x_j` what an atom sends (three parts `a`, `b`, `c`), `w` the filter of an edge `j → i` and `u` its direction from `i` to `j`:
//!
//! ```text
//! g   = x_j ∘ w                                    (g_a, g_b, g_c)
//! s̃_i = (s_i + Σ_j g_a) / √2
//! ṽ_i = v_i + Σ_j (v_j g_b + u g_c)
//! ```
//!
//! Constant factors are part of the filters. With bars for gradients of the energy:
//!
//! ```text
//! ḡ   = [ s̄_i, v̄_i · v_j, v̄_i · u ]                (for each edge j → i)
//! x̄_j = Σ_i ḡ ∘ w,             v̄_j = Σ_i v̄_i x_b w_b
//! d̄   = Σ ḡ ∘ x_j ∘ w′,        ū = Σ v̄_i x_c w_c    (sums over channels)
//! ```
//!
//! The sums over `i` run over the edges out of `j`, so that every atom writes to itself alone, and what an edge gets is written by its
//! source alone. Both kernels work on one register of each row at a time and take all edges of a block of atoms for it, so that what an
//! atom sums up stays in registers and the part of the table that they read stays in a cache. With six rows of a table for each edge, a
//! message takes 18 multiplications for the filters and 10 for the sums for each channel, its adjoint 36 and 23.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use crate::edges::Edges;
use crate::filters::FilterRows;
use crate::number::{Number, Simd, WithSimd, lanes};
use crate::registers::{dot, fused_three, scaled, set_three, splat_three, three};

/// Messages into some atoms.
pub struct MessageSum<'a, T, F> {
    /// Filters of the edges into the atoms.
    pub filters: F,
    /// Edges by target.
    pub edges: Edges<'a, T>,
    /// The atoms.
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

/// Gradients that some atoms get from the edges out of them and, with `GEOMETRY`, gradients of these edges.
pub struct MessageAdjoint<'a, T, F, const GEOMETRY: bool> {
    /// Filters of the edges out of the atoms.
    pub filters: F,
    /// Edges by source.
    pub edges: Edges<'a, T>,
    /// The atoms.
    pub atoms: Range<usize>,
    /// `x` of these atoms, laid out as in [`MessageSum`]. Shape: `[n, 3w]`.
    pub sent: &'a [T],
    /// `v` of these atoms; empty where all are zero. Shape: `[n, 3, w]`.
    pub vector: &'a [T],
    /// Gradient of the scalar sums of all atoms. Shape: `[n_atoms, w]`.
    pub scalar_gradient: &'a [T],
    /// Gradient of the vector sums of all atoms. Shape: `[n_atoms, 3, w]`.
    pub vector_gradient: &'a [T],
    /// Padded width `w` of a row.
    pub width: usize,
    /// Result `x̄` of the atoms; empty where nobody wants it. Shape: `[n, 3w]`.
    pub sent_out: &'a mut [T],
    /// Result `v̄` of the atoms; unused where there are no vectors. Shape: `[n, 3, w]`.
    pub vector_out: &'a mut [T],
    /// Whether `v̄` starts from the gradient of the atom's own vector sum, since `ṽ_i` contains `v_i`.
    pub has_input: bool,
    /// Results of the edges.
    pub geometry: EdgeGradients<'a, T>,
}

/// Gradients with respect to distances and directions of the edges out of some atoms, to which is added.
pub struct EdgeGradients<'a, T> {
    /// `d̄`. Shape: `[n_edges]`.
    pub distance: &'a mut [T],
    /// `ū`, with respect to the direction from target to source. Shape: `[n_edges]`.
    pub direction: &'a mut [[T; 3]],
    /// Sums over channels before they are added up over the lanes; grows as needed.
    pub partial: &'a mut Vec<T>,
}

impl<T: Number, F: FilterRows<T, 3>, const GEOMETRY: bool> WithSimd for MessageAdjoint<'_, T, F, GEOMETRY> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.vector.is_empty(), self.sent_out.is_empty()) {
            (false, _) => self.run::<S, true, true>(simd),
            (true, false) => self.run::<S, false, true>(simd),
            (true, true) => self.run::<S, false, false>(simd),
        }
    }
}

impl<T: Number, F: FilterRows<T, 3>, const GEOMETRY: bool> MessageAdjoint<'_, T, F, GEOMETRY> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: bool, const SOURCES: bool>(self, simd: S) {
        let wide = self.width / lanes::<T, S>();
        let most = if GEOMETRY { self.edges.most(self.atoms.clone()) } else { 0 };
        let EdgeGradients { distance, direction, partial } = self.geometry;
        partial.resize((4 * most * lanes::<T, S>()).max(partial.len()), T::ZERO);
        let (partial, _) = T::registers_mut::<S>(partial).as_chunks_mut::<4>();
        let (sent, _) = T::registers::<S>(self.sent).as_chunks::<3>();
        let (sent_out, _) = T::registers_mut::<S>(self.sent_out).as_chunks_mut::<3>();
        let (vector, vector_out) = (T::registers::<S>(self.vector), T::registers_mut::<S>(self.vector_out));
        let s_gradient = T::registers::<S>(self.scalar_gradient);
        let v_gradient = T::registers::<S>(self.vector_gradient);
        let (filters, edges) = (self.filters, self.edges);
        let zero = T::splat(simd, T::ZERO);
        let offset = edges.first[self.atoms.start];
        for group in (0..wide).step_by(F::CHUNKS_PER_SUM) {
            for (k, atom) in self.atoms.clone().enumerate() {
                let own = edges.of(atom);
                let partial = if GEOMETRY { &mut partial[..own.len()] } else { &mut partial[..0] };
                for chunk in group..(group + F::CHUNKS_PER_SUM).min(wide) {
                    let table = filters.chunk::<S>(chunk);
                    let x = sent[k * wide + chunk];
                    let (mut x_sums, mut v, mut v_sums) = ([zero; 3], [zero; 3], [zero; 3]);
                    if VECTORS {
                        v = three(vector, 3 * k * wide + chunk, wide);
                        if self.has_input {
                            v_sums = three(v_gradient, 3 * atom * wide + chunk, wide);
                        }
                    }
                    for (i, e) in own.clone().enumerate() {
                        let target = edges.other[e] as usize;
                        let [f, df] = match GEOMETRY {
                            true => filters.value_and_slope(simd, table, e - offset),
                            false => [filters.value(simd, table, e - offset), [zero; 3]],
                        };
                        let a = s_gradient[target * wide + chunk];
                        let b = three(v_gradient, 3 * target * wide + chunk, wide);
                        let g = factors::<T, S, VECTORS>(simd, [a, zero, zero], b, v, edges.direction[e]);
                        if SOURCES {
                            x_sums[0] = T::fused(simd, g[0], f[0], x_sums[0]);
                            x_sums[2] = T::fused(simd, g[2], f[2], x_sums[2]);
                        }
                        if VECTORS {
                            x_sums[1] = T::fused(simd, g[1], f[1], x_sums[1]);
                            v_sums = fused_three::<T, S>(simd, b, T::times(simd, x[1], f[1]), v_sums);
                        }
                        if GEOMETRY {
                            let along = along::<T, S, VECTORS>(simd, g, x, df);
                            let across = T::times(simd, x[2], f[2]);
                            let partial = &mut partial[i];
                            *partial = match chunk == group {
                                true => {
                                    let [bx, by, bz] = scaled::<T, S>(simd, b, across);
                                    [along, bx, by, bz]
                                }
                                false => {
                                    let [d, x, y, z] = *partial;
                                    let [x, y, z] = fused_three::<T, S>(simd, b, across, [x, y, z]);
                                    [T::plus(simd, along, d), x, y, z]
                                }
                            };
                        }
                    }
                    if SOURCES {
                        sent_out[k * wide + chunk] = x_sums;
                    }
                    if VECTORS {
                        set_three(vector_out, 3 * k * wide + chunk, wide, v_sums);
                    }
                }
                if GEOMETRY {
                    for (e, partial) in own.zip(partial.iter()) {
                        distance[e - offset] += T::sum(simd, partial[0]);
                        for c in 0..3 {
                            direction[e - offset][c] += T::sum(simd, partial[c + 1]);
                        }
                    }
                }
            }
        }
    }
}

/// Gradients `ḡ` of an edge, the first of which is given; the direction points from source to target.
#[inline(always)]
fn factors<T: Number, S: Simd, const VECTORS: bool>(
    simd: S,
    mut g: [T::Register<S>; 3],
    b: [T::Register<S>; 3],
    v: [T::Register<S>; 3],
    [ux, uy, uz]: [T; 3],
) -> [T::Register<S>; 3] {
    if VECTORS {
        g[1] = dot::<T, S>(simd, b, v);
    }
    g[2] = dot::<T, S>(simd, b, splat_three::<T, S>(simd, [-ux, -uy, -uz]));
    g
}

/// Sum `ḡ ∘ x ∘ w′` over the parts.
#[inline(always)]
fn along<T: Number, S: Simd, const VECTORS: bool>(
    simd: S,
    g: [T::Register<S>; 3],
    x: [T::Register<S>; 3],
    df: [T::Register<S>; 3],
) -> T::Register<S> {
    let mut sum = T::times(simd, T::times(simd, g[2], x[2]), df[2]);
    if VECTORS {
        sum = T::fused(simd, T::times(simd, g[1], x[1]), df[1], sum);
    }
    T::fused(simd, T::times(simd, g[0], x[0]), df[0], sum)
}
