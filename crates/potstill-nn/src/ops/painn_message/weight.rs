//! The gradient of the messages with respect to the filters' weights.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use potstill_kernels::number::{Number, Simd, WithSimd, lanes};
use potstill_kernels::registers::{dot, splat_three, three};

use super::MessageEdges;
use super::layout::Layout;

/// Kernel of `∂F/∂W`.
pub(super) struct WeightGradient<'a, 'b, T> {
    pub edges: &'a MessageEdges,
    pub layout: &'a Layout<'b, T>,
    /// `ŝ`, `v̂`, `x`, `v` of all atoms, padded.
    pub arguments: [&'a [T]; 4],
    pub table: &'a [T],
    /// Gradient with respect to `table`, to which is added.
    pub table_out: &'a mut [T],
}

impl<T: Number> WithSimd for WeightGradient<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { edges, layout, arguments: [scalar_gradient, vector_gradient, sent, vector], table, table_out } =
            self;
        let wide = layout.width / lanes::<T, S>();
        let has_vectors = !vector.is_empty();
        let (sent, _) = T::registers::<S>(sent).as_chunks::<3>();
        let vector = T::registers::<S>(vector);
        let (s_gradient, v_gradient) = (T::registers::<S>(scalar_gradient), T::registers::<S>(vector_gradient));
        let (table_out, _) = T::registers_mut::<S>(table_out).as_chunks_mut::<3>();
        let order = &edges.by_target;
        let filters = layout.filters(table, order);
        let directions = layout.directions(order, T::ONE);
        let zero = T::splat(simd, T::ZERO);
        for (chunk, table) in table_out.chunks_exact_mut(edges.radial.n_radial).enumerate() {
            for target in 0..layout.n {
                let a = s_gradient[target * wide + chunk];
                let b = three(v_gradient, 3 * target * wide + chunk, wide);
                for e in order.first[target]..order.first[target + 1] {
                    let source = order.other[e] as usize;
                    let x = sent[source * wide + chunk];
                    let along = dot::<T, S>(simd, b, splat_three::<T, S>(simd, directions[e]));
                    let mut g = [T::times(simd, a, x[0]), zero, T::times(simd, along, x[2])];
                    if has_vectors {
                        let v = three(vector, 3 * source * wide + chunk, wide);
                        g[1] = T::times(simd, dot::<T, S>(simd, b, v), x[1]);
                    }
                    filters.add_gradient::<S, 3, false>(simd, table, e, [g; 2]);
                }
            }
        }
    }
}
