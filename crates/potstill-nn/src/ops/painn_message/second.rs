//! The derivatives of the messages' adjoint.
//!
//! Those of `⟨X, ∂F/∂x⟩ + ⟨V, ∂F/∂v⟩ + ⟨D, ∂F/∂d⟩ + ⟨U, ∂F/∂u⟩` are, with `y = X f + x D f′` and `z = x f`,
//!
//! ```text
//! ŝ: y_a                                       v̂: v y_b + V z_b + u y_c + U z_c
//! x: ŝ D f′_a,  (v̂·v) D f′_b + (v̂·V) f_b,  (v̂·u) D f′_c + (v̂·U) f_c
//! v: v̂ y_b
//! f: ŝ X_a,  (v̂·v) X_b + (v̂·V) x_b,  (v̂·u) X_c + (v̂·U) x_c
//! f′: ŝ x_a D,  (v̂·v) x_b D,  (v̂·u) x_c D
//! ```
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use potstill_kernels::filters::FilterRows;
use potstill_kernels::number::{Number, Simd, WithSimd, lanes};
use potstill_kernels::registers::{add_three, dot, fused_three, scaled, splat_three, three};

use super::MessageEdges;
use super::layout::Layout;

/// Kernel of the derivatives of the adjoint.
pub(super) struct SecondOrder<'a, 'b, T> {
    pub edges: &'a MessageEdges,
    pub layout: &'a Layout<'b, T>,
    pub table: &'a [T],
    /// `ŝ`, `v̂`, `x`, `v` of all atoms, padded.
    pub arguments: [&'a [T]; 4],
    /// `X`, `V` of all atoms, padded.
    pub changes: [&'a [T]; 2],
    /// `D` of each edge.
    pub distance: &'a [T],
    /// `U` of each edge.
    pub direction: &'a [[T; 3]],
    /// Derivatives with respect to the arguments, to which is added.
    pub out: [&'a mut [T]; 4],
    /// Derivative with respect to `table`, to which is added.
    pub table_out: &'a mut [T],
}

impl<T: Number> WithSimd for SecondOrder<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { edges, layout, table, arguments, changes, distance, direction, out, table_out } = self;
        let wide = layout.width / lanes::<T, S>();
        let [scalar_gradient, vector_gradient, sent, vector] = arguments;
        let has_vectors = !vector.is_empty();
        let (table_out, _) = T::registers_mut::<S>(table_out).as_chunks_mut::<3>();
        let ((sent, _), vector) = (T::registers::<S>(sent).as_chunks::<3>(), T::registers::<S>(vector));
        let (s_gradient, v_gradient) = (T::registers::<S>(scalar_gradient), T::registers::<S>(vector_gradient));
        let ((sent_change, _), vector_change) =
            (T::registers::<S>(changes[0]).as_chunks::<3>(), T::registers::<S>(changes[1]));
        let [s_out, v_out, sent_out, vector_out] = out;
        let (s_out, v_out) = (T::registers_mut::<S>(s_out), T::registers_mut::<S>(v_out));
        let ((sent_out, _), vector_out) =
            (T::registers_mut::<S>(sent_out).as_chunks_mut::<3>(), T::registers_mut::<S>(vector_out));
        let order = &edges.by_target;
        let filters = layout.filters(table, order);
        let directions = layout.directions(order, T::ONE);
        let zero = T::splat(simd, T::ZERO);
        for (chunk, table) in table_out.chunks_exact_mut(edges.radial.n_radial).enumerate() {
            let rows = FilterRows::<T, 3>::chunk::<S>(&filters, chunk);
            for target in 0..layout.n {
                let a = s_gradient[target * wide + chunk];
                let b = three(v_gradient, 3 * target * wide + chunk, wide);
                for e in order.first[target]..order.first[target + 1] {
                    let (source, number) = (order.other[e] as usize, order.edge[e] as usize);
                    let [f, df] = filters.value_and_slope(simd, rows, e);
                    let (x, change) = (sent[source * wide + chunk], sent_change[source * wide + chunk]);
                    let u = splat_three::<T, S>(simd, directions[e]);
                    let (d, turn) = (T::splat(simd, distance[number]), splat_three::<T, S>(simd, direction[number]));
                    let (mut y, mut z) = ([zero; 3], [zero; 3]);
                    for p in 0..3 {
                        z[p] = T::times(simd, x[p], f[p]);
                        y[p] = T::fused(simd, change[p], f[p], T::times(simd, T::times(simd, x[p], d), df[p]));
                    }
                    // Factors of the parts of the message, and their changes.
                    let (mut g, mut g_change) =
                        ([a, zero, dot::<T, S>(simd, b, u)], [zero, zero, dot::<T, S>(simd, b, turn)]);
                    let mut v_sums = fused_three::<T, S>(simd, u, y[2], scaled::<T, S>(simd, turn, z[2]));
                    if has_vectors {
                        let v = three(vector, 3 * source * wide + chunk, wide);
                        let v_change = three(vector_change, 3 * source * wide + chunk, wide);
                        (g[1], g_change[1]) = (dot::<T, S>(simd, b, v), dot::<T, S>(simd, b, v_change));
                        v_sums = fused_three::<T, S>(simd, v_change, z[1], v_sums);
                        v_sums = fused_three::<T, S>(simd, v, y[1], v_sums);
                        let back = scaled::<T, S>(simd, b, y[1]);
                        add_three::<T, S>(simd, vector_out, 3 * source * wide + chunk, wide, back);
                    }
                    let sum = &mut s_out[target * wide + chunk];
                    *sum = T::plus(simd, *sum, y[0]);
                    add_three::<T, S>(simd, v_out, 3 * target * wide + chunk, wide, v_sums);
                    let (mut f_gradient, mut df_gradient) = ([zero; 3], [zero; 3]);
                    let back = &mut sent_out[source * wide + chunk];
                    for p in 0..3 {
                        let by_distance = T::times(simd, g[p], d);
                        let own = T::fused(simd, by_distance, df[p], T::times(simd, g_change[p], f[p]));
                        back[p] = T::plus(simd, back[p], own);
                        f_gradient[p] = T::fused(simd, g[p], change[p], T::times(simd, g_change[p], x[p]));
                        df_gradient[p] = T::times(simd, by_distance, x[p]);
                    }
                    filters.add_gradient::<S, 3, true>(simd, table, e, [f_gradient, df_gradient]);
                }
            }
        }
    }
}
