//! SchNet's continuous-filter convolution over edges, its adjoint, and the derivatives of both.
//!
//! With the filter `f` of an edge `s → t` and its derivative `f′` with respect to the length `d`, all are derivatives of one form,
//! linear in each argument,
//!
//! ```text
//! F = Σ_edges Σ_channels m̂_t x_s f
//! ```
//!
//! where `x` is sent by sources and `m̂` stands for sums at targets, or for their gradients. The sums are `∂F/∂m̂` and the adjoint is
//! `∂F/∂(x, d)`: both are kernels of [`potstill_kernels::schnet`]. Training needs `∂F/∂f` too, and the derivatives of
//! `⟨X, ∂F/∂x⟩ + ⟨D, ∂F/∂d⟩`, which are
//!
//! ```text
//! m̂: X f + D x f′    x: D m̂ f′    f: m̂ X    f′: D m̂ x
//! ```
//!
//! In tensor operations each product is an array with a row for each edge; here nothing has one but `d` itself, and filters have a
//! row for each length.

use std::sync::Arc;

use burn::tensor::Tensor;
use potstill_kernels::edges::EdgeOrder;
use potstill_kernels::filters::DenseRows;
use potstill_kernels::number::{Number, dispatch, lanes_here, vectorized};
use potstill_kernels::schnet::{Convolution, ConvolutionAdjoint};

use super::operation::{Forward, Input, Operation, Primitive, run};
use super::padding::{padded, unpadded};

/// Edges with the length of each; constants of these operations.
#[derive(Debug)]
pub struct FilteredEdges {
    /// Source and target of each edge.
    ends: Arc<[[u32; 2]]>,
    by_target: EdgeOrder,
    by_source: EdgeOrder,
    /// Row of the filters of each edge.
    row: Vec<u32>,
    /// Lengths in Å, each once, in the order in which edges first have it.
    lengths: Vec<f64>,
}

impl FilteredEdges {
    /// Edges, given as `[source, target]`, with their lengths in Å. Edges of the same length, to the last bit, share a filter: at least
    /// an edge and its reverse.
    pub fn new(ends: Arc<[[u32; 2]]>, n_atoms: usize, distance: &[f64]) -> Self {
        let mut order: Vec<(u64, u32)> = distance.iter().zip(0..).map(|(d, e)| (d.to_bits(), e)).collect();
        order.sort_unstable();
        // First the first edge of the same length, then its row.
        let mut row = vec![0; distance.len()];
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            for &(_, e) in same {
                row[e as usize] = same[0].1;
            }
        }
        let mut lengths = Vec::new();
        for e in 0..row.len() {
            let first = row[e] as usize;
            if first == e {
                row[e] = lengths.len() as u32;
                lengths.push(distance[e]);
            } else {
                row[e] = row[first];
            }
        }
        let [by_source, by_target] = [0, 1].map(|end| EdgeOrder::by(end, &ends, n_atoms));
        Self { ends, by_target, by_source, row, lengths }
    }

    /// Lengths in Å, each once.
    pub fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// Starts of the rows of source, target and filter of each edge, for rows of that width.
    #[inline(always)]
    fn places(&self, width: usize) -> impl Iterator<Item = [usize; 3]> {
        self.ends.iter().zip(&self.row).map(move |(&[s, t], &r)| [s, t, r].map(|i| i as usize * width))
    }
}

/// Sums over the edges into each atom of the sources' rows times the filter. Shapes: `x` `[n, f]`, `filters` `[n_lengths or twice that,
/// f]` to `[n, f]`.
///
/// `None` on other backends.
pub fn convolve(x: &Tensor<2>, filters: &Tensor<2>, edges: &Arc<FilteredEdges>) -> Option<Tensor<2>> {
    run(Convolve(edges.clone()), [Primitive::of(x), Primitive::of(filters)])
}

/// Adjoint of [`convolve`], given the gradient of the sums: gradients with respect to `x`, of shape `[n, f]`, and to the distances, of
/// shape `[n_edges, 1]`. `filters` are followed by their derivatives.
///
/// `None` on other backends.
pub fn convolve_adjoint(
    [sum_gradient, x, filters]: [&Tensor<2>; 3],
    edges: &Arc<FilteredEdges>,
) -> Option<(Tensor<2>, Tensor<2>)> {
    let [n, width] = x.dims();
    let n_edges = edges.row.len();
    let all: Tensor<2> = run(ConvolveAdjoint(edges.clone()), [sum_gradient, x, filters].map(Primitive::of))?;
    let x_gradient = all.clone().narrow(1, 0, n * width).reshape([n, width]);
    Some((x_gradient, all.narrow(1, n * width, n_edges).reshape([n_edges, 1])))
}

#[derive(Debug, Clone)]
struct Convolve(Arc<FilteredEdges>);

#[derive(Debug, Clone)]
struct ConvolveAdjoint(Arc<FilteredEdges>);

/// Gradients with respect to `x` and, with `GEOMETRY`, to the distances; `slopes` are the derivatives of the filters.
fn adjoint<T: Number, const GEOMETRY: bool>(
    edges: &FilteredEdges,
    [sum_gradient, x, values, slopes]: [&[T]; 4],
    (n, width): (usize, usize),
) -> [Vec<T>; 2] {
    let wide = width.next_multiple_of(lanes_here::<T>());
    let [sum_gradient, x, values, slopes] = [sum_gradient, x, values, slopes].map(|rows| padded(rows, width, wide));
    let mut sent_out = vec![T::ZERO; n * wide];
    let mut by_source = vec![T::ZERO; if GEOMETRY { edges.row.len() } else { 0 }];
    let order = &edges.by_source;
    dispatch(ConvolutionAdjoint::<_, _, _, GEOMETRY> {
        filters: DenseRows { values: &values, slopes: &slopes, width: wide, row: &edges.row, edge: &order.edge },
        edges: order.view(&[]),
        atoms: 0..n,
        sent: &x,
        sum_gradient: &sum_gradient,
        width: wide,
        sent_out: &mut sent_out,
        distance: &mut by_source,
        partial: &mut Vec::new(),
    });
    let mut distance = vec![T::ZERO; by_source.len()];
    for (&edge, &gradient) in order.edge.iter().zip(&by_source) {
        distance[edge as usize] = gradient;
    }
    [unpadded(sent_out, width, wide), distance]
}

impl Operation<2> for Convolve {
    fn forward<T: Number>(&self, [x, filters]: [Input<'_, T>; 2], _: bool) -> Forward<T> {
        let (n, width) = x.matrix();
        let values = &filters.values[..self.0.lengths.len() * width];
        let wide = width.next_multiple_of(lanes_here::<T>());
        let [x, values] = [x.values, values].map(|rows| padded(rows, width, wide));
        let mut sums = vec![T::ZERO; n * wide];
        let order = &self.0.by_target;
        dispatch(Convolution {
            filters: DenseRows { values: &values, slopes: &[], width: wide, row: &self.0.row, edge: &order.edge },
            edges: order.view(&[]),
            atoms: 0..n,
            sent: &x,
            width: wide,
            sums: &mut sums,
        });
        Forward { output: unpadded(sums, width, wide), shape: vec![n, width], saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [x, filters]: [Input<'_, T>; 2],
        _: &[Vec<T>],
        gradient: Vec<T>,
        [x_wanted, filters_wanted]: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let (n, width) = x.matrix();
        let values = &filters.values[..self.0.lengths.len() * width];
        let x_gradient = x_wanted.then(|| {
            let [x_gradient, _] = adjoint::<T, false>(&self.0, [&gradient, &[], values, &[]], (n, width));
            x_gradient
        });
        let filter_gradient = filters_wanted.then(|| {
            let mut out = vec![T::ZERO; filters.values.len()];
            vectorized(
                #[inline(always)]
                || {
                    for [s, t, r] in self.0.places(width) {
                        let (m, x) = (&gradient[t..t + width], &x.values[s..s + width]);
                        for ((out, &m), &x) in out[r..r + width].iter_mut().zip(m).zip(x) {
                            *out += m * x;
                        }
                    }
                },
            );
            out
        });
        [x_gradient, filter_gradient]
    }
}

impl Operation<3> for ConvolveAdjoint {
    fn forward<T: Number>(&self, [sum_gradient, x, filters]: [Input<'_, T>; 3], _: bool) -> Forward<T> {
        let (n, width) = x.matrix();
        let (values, slopes) = filters.values.split_at(self.0.lengths.len() * width);
        let [mut output, distance] =
            adjoint::<T, true>(&self.0, [sum_gradient.values, x.values, values, slopes], (n, width));
        output.extend(distance);
        Forward { shape: vec![1, output.len()], output, saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [sum_gradient, x, filters]: [Input<'_, T>; 3],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let (n, width) = x.matrix();
        let (change, distance) = gradient.split_at(n * width);
        let middle = self.0.lengths.len() * width;
        let (values, slopes) = filters.values.split_at(middle);
        let (mut sum_out, mut x_out) = (vec![T::ZERO; n * width], vec![T::ZERO; n * width]);
        let mut filter_out = vec![T::ZERO; filters.values.len()];
        let (value_out, slope_out) = filter_out.split_at_mut(middle);
        vectorized(
            #[inline(always)]
            || {
                for ([s, t, r], &d) in self.0.places(width).zip(distance) {
                    let (m, x) = (&sum_gradient.values[t..t + width], &x.values[s..s + width]);
                    let (f, df, change) = (&values[r..r + width], &slopes[r..r + width], &change[s..s + width]);
                    for ((((out, &x), &df), &f), &change) in
                        sum_out[t..t + width].iter_mut().zip(x).zip(df).zip(f).zip(change)
                    {
                        *out += change * f + d * x * df;
                    }
                    for ((out, &m), &df) in x_out[s..s + width].iter_mut().zip(m).zip(df) {
                        *out += d * m * df;
                    }
                    for ((out, &m), &change) in value_out[r..r + width].iter_mut().zip(m).zip(change) {
                        *out += m * change;
                    }
                    for ((out, &m), &x) in slope_out[r..r + width].iter_mut().zip(m).zip(x) {
                        *out += d * m * x;
                    }
                }
            },
        );
        [Some(sum_out), Some(x_out), Some(filter_out)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_the_same_length_share_a_filter() {
        let ends: Arc<[[u32; 2]]> = [[0, 1], [2, 1], [1, 0], [2, 0], [1, 2]].into();
        let edges = FilteredEdges::new(ends, 3, &[2.5, 1.5, 2.5, 3.5, 1.5]);
        assert_eq!(edges.lengths(), [2.5, 1.5, 3.5]);
        assert_eq!(edges.row, [0, 1, 0, 2, 1]);
    }
}
