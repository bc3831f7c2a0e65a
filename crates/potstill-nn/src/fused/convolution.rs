//! SchNet's continuous-filter convolution over edges, its adjoint, and the derivatives of both.
//!
//! With the filter `f` of an edge `s → t` and its derivative `f′` with respect to the length `d`, all are derivatives of one form,
//! linear in each argument,
//!
//! ```text
//! F = Σ_edges Σ_channels m̂_t x_s f
//! ```
//!
//! where `x` is what sources send and `m̂` stands for what targets get, or for its bar. The sums are `∂F/∂m̂`; the adjoint is
//! `∂F/∂(x, d)`; and the derivatives of `⟨X, ∂F/∂x⟩ + ⟨D, ∂F/∂d⟩` are
//!
//! ```text
//! m̂: X f + D x f′    x: D m̂ f′    f: m̂ X    f′: D m̂ x
//! ```
//!
//! In tensor operations each product is an array with a row for each edge; here nothing has one but `d` itself, and filters have a
//! row for each length.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::operation::{Forward, Input, Operation, Primitive, run};
use potstill_kernels::number::{Number, vectorized};

/// What edges are, for these operations: constants.
#[derive(Debug)]
pub struct FilteredEdges {
    /// Source and target of each edge.
    ends: Arc<[[u32; 2]]>,
    /// Row of the filters of each edge.
    row: Vec<u32>,
    /// Each length in Å once, in the order in which edges first have it.
    lengths: Vec<f64>,
}

impl FilteredEdges {
    /// Edges of the same length, to the last bit, share a filter: at least an edge and its reverse.
    pub fn new(ends: Arc<[[u32; 2]]>, distance: &[f64]) -> Self {
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
        Self { ends, row, lengths }
    }

    /// Each length in Å once.
    pub fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// Source, target and row of the filter of each edge, as places in rows of that width.
    #[inline(always)]
    fn places(&self, width: usize) -> impl Iterator<Item = [usize; 3]> {
        self.ends.iter().zip(&self.row).map(move |(&[s, t], &r)| [s, t, r].map(|i| i as usize * width))
    }
}

/// Sums over the edges into each atom of what sources send times the filter. Shapes: `x` `[n, f]`, `filters` `[n_lengths or twice
/// that, f]` to `[n, f]`.
///
/// `None` on other backends.
pub fn convolve(x: &Tensor<2>, filters: &Tensor<2>, edges: &Arc<FilteredEdges>) -> Option<Tensor<2>> {
    run(Convolution(edges.clone()), [Primitive::of(x), Primitive::of(filters)])
}

/// The adjoint of [`convolve`], given the bar of the sums: bars of `x`, of shape `[n, f]`, and of the distances, of shape `[n_edges, 1]`.
/// `filters` are followed by their derivatives.
///
/// `None` on other backends.
pub fn convolve_adjoint(
    [sum_bar, x, filters]: [&Tensor<2>; 3],
    edges: &Arc<FilteredEdges>,
) -> Option<(Tensor<2>, Tensor<2>)> {
    let [n, width] = x.dims();
    let n_edges = edges.row.len();
    let all: Tensor<2> = run(ConvolutionAdjoint(edges.clone()), [sum_bar, x, filters].map(Primitive::of))?;
    let x_bar = all.clone().narrow(1, 0, n * width).reshape([n, width]);
    Some((x_bar, all.narrow(1, n * width, n_edges).reshape([n_edges, 1])))
}

#[derive(Debug, Clone)]
struct Convolution(Arc<FilteredEdges>);

#[derive(Debug, Clone)]
struct ConvolutionAdjoint(Arc<FilteredEdges>);

/// `Σ a b c` in sixteen parts, which the compiler keeps in registers.
#[inline(always)]
fn triple_product<T: Number>(a: &[T], b: &[T], c: &[T]) -> T {
    const PARTS: usize = 16;
    let ((a, a_rest), (b, b_rest), (c, c_rest)) =
        (a.as_chunks::<PARTS>(), b.as_chunks::<PARTS>(), c.as_chunks::<PARTS>());
    let mut parts = [T::ZERO; PARTS];
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for i in 0..PARTS {
            parts[i] += a[i] * b[i] * c[i];
        }
    }
    let mut sum = T::ZERO;
    for part in parts {
        sum += part;
    }
    for ((&a, &b), &c) in a_rest.iter().zip(b_rest).zip(c_rest) {
        sum += a * b * c;
    }
    sum
}

impl Operation<2> for Convolution {
    fn forward<T: Number>(&self, [x, filters]: [Input<'_, T>; 2], _: bool) -> Forward<T> {
        let (n, width) = x.matrix();
        let mut sums = vec![T::ZERO; n * width];
        vectorized(
            #[inline(always)]
            || {
                for [s, t, r] in self.0.places(width) {
                    let (x, f) = (&x.values[s..s + width], &filters.values[r..r + width]);
                    for ((sum, &x), &f) in sums[t..t + width].iter_mut().zip(x).zip(f) {
                        *sum += x * f;
                    }
                }
            },
        );
        Forward { output: sums, shape: vec![n, width], saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [x, filters]: [Input<'_, T>; 2],
        _: &[Vec<T>],
        gradient: Vec<T>,
        [x_wanted, filters_wanted]: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let (n, width) = x.matrix();
        let x_bar = x_wanted.then(|| {
            let mut x_bar = vec![T::ZERO; n * width];
            vectorized(
                #[inline(always)]
                || {
                    for [s, t, r] in self.0.places(width) {
                        let (m, f) = (&gradient[t..t + width], &filters.values[r..r + width]);
                        for ((out, &m), &f) in x_bar[s..s + width].iter_mut().zip(m).zip(f) {
                            *out += m * f;
                        }
                    }
                },
            );
            x_bar
        });
        let filter_bar = filters_wanted.then(|| {
            let mut filter_bar = vec![T::ZERO; filters.values.len()];
            vectorized(
                #[inline(always)]
                || {
                    for [s, t, r] in self.0.places(width) {
                        let (m, x) = (&gradient[t..t + width], &x.values[s..s + width]);
                        for ((out, &m), &x) in filter_bar[r..r + width].iter_mut().zip(m).zip(x) {
                            *out += m * x;
                        }
                    }
                },
            );
            filter_bar
        });
        [x_bar, filter_bar]
    }
}

impl Operation<3> for ConvolutionAdjoint {
    fn forward<T: Number>(&self, [sum_bar, x, filters]: [Input<'_, T>; 3], _: bool) -> Forward<T> {
        let (n, width) = x.matrix();
        let (filters, slopes) = filters.values.split_at(self.0.lengths.len() * width);
        let mut output = vec![T::ZERO; n * width + self.0.row.len()];
        let (x_bar, distance_bar) = output.split_at_mut(n * width);
        vectorized(
            #[inline(always)]
            || {
                for ([s, t, r], distance) in self.0.places(width).zip(distance_bar) {
                    let (m, x) = (&sum_bar.values[t..t + width], &x.values[s..s + width]);
                    for ((out, &m), &f) in x_bar[s..s + width].iter_mut().zip(m).zip(&filters[r..r + width]) {
                        *out += m * f;
                    }
                    *distance = triple_product(m, x, &slopes[r..r + width]);
                }
            },
        );
        Forward { shape: vec![1, output.len()], output, saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [sum_bar, x, filters]: [Input<'_, T>; 3],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let (n, width) = x.matrix();
        let (way, distance) = gradient.split_at(n * width);
        let middle = self.0.lengths.len() * width;
        let (values, slopes) = filters.values.split_at(middle);
        let (mut sum_out, mut x_out) = (vec![T::ZERO; n * width], vec![T::ZERO; n * width]);
        let mut filter_out = vec![T::ZERO; filters.values.len()];
        let (value_out, slope_out) = filter_out.split_at_mut(middle);
        vectorized(
            #[inline(always)]
            || {
                for ([s, t, r], &d) in self.0.places(width).zip(distance) {
                    let (m, x) = (&sum_bar.values[t..t + width], &x.values[s..s + width]);
                    let (f, df, way) = (&values[r..r + width], &slopes[r..r + width], &way[s..s + width]);
                    for ((((out, &x), &df), &f), &way) in
                        sum_out[t..t + width].iter_mut().zip(x).zip(df).zip(f).zip(way)
                    {
                        *out += way * f + d * x * df;
                    }
                    for ((out, &m), &df) in x_out[s..s + width].iter_mut().zip(m).zip(df) {
                        *out += d * m * df;
                    }
                    for ((out, &m), &way) in value_out[r..r + width].iter_mut().zip(m).zip(way) {
                        *out += m * way;
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
        let edges = FilteredEdges::new(ends, &[2.5, 1.5, 2.5, 3.5, 1.5]);
        assert_eq!(edges.lengths(), [2.5, 1.5, 3.5]);
        assert_eq!(edges.row, [0, 1, 0, 2, 1]);
    }
}
