//! The adjoint of the messages, by the edges out of some atoms.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use crate::edges::EdgeEnds;
use crate::filters::FilterRows;
use crate::number::{Number, Simd, WithSimd, lanes};
use crate::registers::{dot, fused_three, scaled, set_three, splat_three, three};

/// Gradients that some atoms get from the edges out of them and, with `GEOMETRY`, gradients of these edges; all are added.
pub struct MessageAdjoint<'a, T, F, E, const GEOMETRY: bool> {
    /// Filters of the edges out of the atoms.
    pub filters: F,
    /// Edges by source.
    pub edges: E,
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// `x` of these atoms, laid out as in [`MessageSum`](super::MessageSum). Shape: `[n, 3w]`.
    pub sent: &'a [T],
    /// `v` of these atoms; empty where all are zero. Shape: `[n, 3, w]`.
    pub vector: &'a [T],
    /// Gradient of the scalar sums of all atoms. Shape: `[n_atoms, w]`.
    pub scalar_gradient: &'a [T],
    /// Gradient of the vector sums of all atoms. Shape: `[n_atoms, 3, w]`.
    pub vector_gradient: &'a [T],
    /// Padded width `w` of a row.
    pub width: usize,
    /// Gradient `x̄` of the atoms, to which is added; empty where nobody wants it. Shape: `[n, 3w]`.
    pub sent_out: &'a mut [T],
    /// Gradient `v̄` of the atoms, to which is added; unused where there are no vectors. Shape: `[n, 3, w]`.
    pub vector_out: &'a mut [T],
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

impl<T: Number, F: FilterRows<T, 3>, E: EdgeEnds<T>, const GEOMETRY: bool> WithSimd
    for MessageAdjoint<'_, T, F, E, GEOMETRY>
{
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

impl<T: Number, F: FilterRows<T, 3>, E: EdgeEnds<T>, const GEOMETRY: bool> MessageAdjoint<'_, T, F, E, GEOMETRY> {
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
        let offset = edges.of(self.atoms.start).start;
        for group in (0..wide).step_by(F::CHUNKS_PER_SUM) {
            for (k, atom) in self.atoms.clone().enumerate() {
                let own = edges.of(atom);
                let partial = if GEOMETRY { &mut partial[..own.len()] } else { &mut partial[..0] };
                for chunk in group..(group + F::CHUNKS_PER_SUM).min(wide) {
                    let table = filters.chunk::<S>(chunk);
                    let mut source =
                        Source { x: sent[k * wide + chunk], v: [zero; 3], x_sums: [zero; 3], v_sums: [zero; 3] };
                    if SOURCES {
                        source.x_sums = sent_out[k * wide + chunk];
                    }
                    if VECTORS {
                        source.v = three(vector, 3 * k * wide + chunk, wide);
                        source.v_sums = three(vector_out, 3 * k * wide + chunk, wide);
                    }
                    for (i, e) in own.clone().enumerate() {
                        let target = edges.other(e);
                        let filter = match GEOMETRY {
                            true => filters.value_and_slope(simd, table, e - offset),
                            false => [filters.value(simd, table, e - offset), [zero; 3]],
                        };
                        let a = s_gradient[target * wide + chunk];
                        let b = three(v_gradient, 3 * target * wide + chunk, wide);
                        let g = factors::<T, S, VECTORS>(simd, a, b, source.v, edges.direction(e));
                        source.add::<T, S, VECTORS, SOURCES>(simd, g, b, filter[0]);
                        if GEOMETRY {
                            let add = source.geometry::<T, S, VECTORS>(simd, g, filter);
                            add_edge::<T, S>(simd, &mut partial[i], add, b, chunk == group);
                        }
                    }
                    if SOURCES {
                        sent_out[k * wide + chunk] = source.x_sums;
                    }
                    if VECTORS {
                        set_three(vector_out, 3 * k * wide + chunk, wide, source.v_sums);
                    }
                }
                if GEOMETRY {
                    add_lanes::<T, S>(
                        simd,
                        partial,
                        &mut distance[own.start - offset..],
                        &mut direction[own.start - offset..],
                    );
                }
            }
        }
    }
}

/// Registers of the rows of a source, and of their gradients.
struct Source<R> {
    x: [R; 3],
    v: [R; 3],
    x_sums: [R; 3],
    v_sums: [R; 3],
}

impl<R: Copy> Source<R> {
    /// Adds what an edge contributes to the gradients, given its `ḡ`, the gradient `b` of the target's vectors and its filter.
    #[inline(always)]
    fn add<T: Number<Register<S> = R>, S: Simd, const VECTORS: bool, const SOURCES: bool>(
        &mut self,
        simd: S,
        g: [R; 3],
        b: [R; 3],
        f: [R; 3],
    ) {
        if SOURCES {
            self.x_sums[0] = T::fused(simd, g[0], f[0], self.x_sums[0]);
            self.x_sums[2] = T::fused(simd, g[2], f[2], self.x_sums[2]);
        }
        if VECTORS {
            self.x_sums[1] = T::fused(simd, g[1], f[1], self.x_sums[1]);
            self.v_sums = fused_three::<T, S>(simd, b, T::times(simd, self.x[1], f[1]), self.v_sums);
        }
    }

    /// Sum `ḡ ∘ x ∘ w′` over the parts, and `x_c w_c`: the gradients of an edge before the sum over channels.
    #[inline(always)]
    fn geometry<T: Number<Register<S> = R>, S: Simd, const VECTORS: bool>(
        &self,
        simd: S,
        g: [R; 3],
        [f, df]: [[R; 3]; 2],
    ) -> [R; 2] {
        let x = self.x;
        let mut along = T::times(simd, T::times(simd, g[2], x[2]), df[2]);
        if VECTORS {
            along = T::fused(simd, T::times(simd, g[1], x[1]), df[1], along);
        }
        along = T::fused(simd, T::times(simd, g[0], x[0]), df[0], along);
        [along, T::times(simd, x[2], f[2])]
    }
}

/// Gradients `ḡ` of the parts of an edge's message, given those of the target's sums; the direction points from source to target.
#[inline(always)]
fn factors<T: Number, S: Simd, const VECTORS: bool>(
    simd: S,
    a: T::Register<S>,
    b: [T::Register<S>; 3],
    v: [T::Register<S>; 3],
    [ux, uy, uz]: [T; 3],
) -> [T::Register<S>; 3] {
    let along = dot::<T, S>(simd, b, splat_three::<T, S>(simd, [-ux, -uy, -uz]));
    let through = if VECTORS { dot::<T, S>(simd, b, v) } else { T::splat(simd, T::ZERO) };
    [a, through, along]
}

/// Adds a chunk to the sums of an edge, or starts them.
#[inline(always)]
fn add_edge<T: Number, S: Simd>(
    simd: S,
    sums: &mut [T::Register<S>; 4],
    [along, across]: [T::Register<S>; 2],
    b: [T::Register<S>; 3],
    is_first: bool,
) {
    *sums = match is_first {
        true => {
            let [x, y, z] = scaled::<T, S>(simd, b, across);
            [along, x, y, z]
        }
        false => {
            let [d, x, y, z] = *sums;
            let [x, y, z] = fused_three::<T, S>(simd, b, across, [x, y, z]);
            [T::plus(simd, along, d), x, y, z]
        }
    };
}

/// Adds the sums of some edges, over all lanes, to their gradients.
#[inline(always)]
pub(super) fn add_lanes<T: Number, S: Simd>(
    simd: S,
    sums: &[[T::Register<S>; 4]],
    distance: &mut [T],
    direction: &mut [[T; 3]],
) {
    for (i, sums) in sums.iter().enumerate() {
        distance[i] += T::sum(simd, sums[0]);
        for c in 0..3 {
            direction[i][c] += T::sum(simd, sums[c + 1]);
        }
    }
}
