//! SchNet's filters at many lengths, with their derivatives with respect to the length.
//!
//! With Gaussians `g` and the cutoff function `c` of a length, and the shifted softplus `ς`, whose derivative is the sigmoid `σ`,
//!
//! ```text
//! h = W₁ g + β₁          h′ = W₁ g′
//! p = c ς(h)             p′ = c′ ς(h) + c σ(h) h′
//! f = W₂ p + c β₂        f′ = W₂ p′ + c′ β₂
//! ```
//!
//! where `′` is the derivative with respect to the length. Filters and derivatives are rows of one matrix, so that there is one
//! product with `W₂` forward, and two back:
//!
//! ```text
//! p̄ = W₂ᵀ f̄    p̄′ = W₂ᵀ f̄′    W̄₂ = Σ f̄ pᵀ + f̄′ p′ᵀ              β̄₂ = Σ c f̄ + c′ f̄′
//! h̄ = σ (c p̄ + c′ p̄′) + c p̄′ h′ σ (1 − σ)    h̄′ = c σ p̄′
//! W̄₁ = Σ h̄ gᵀ + h̄′ g′ᵀ    β̄₁ = Σ h̄
//! ```
//!
//! Forces need `f′` alone: a force is `f′` times features. So the adjoint of the filter network, for which every edge has a bar of its
//! own, is not needed, and since a filter is a function of the length, edges of the same length (an edge and its reverse at least)
//! share it: half as many rows in all products.

use burn::tensor::Tensor;

use super::operation::{Forward, Input, Operation, Primitive, run};
use super::product::{Factor, product, product_into};
use potstill_kernels::activation::SOFTPLUS_SHIFT;
use potstill_kernels::number::{Number, vectorized};

/// What filters are functions of: constants.
#[derive(Debug, Clone)]
pub struct LengthBasis {
    /// Gaussians at each length, then their derivatives where these are wanted. Shape: `[n_lengths or twice that, n_gaussians]`.
    pub gaussians: Tensor<2>,
    /// The cutoff function in the same order. Shape: `[n_lengths or twice that, 1]`.
    pub cutoff: Tensor<2>,
    /// Number of lengths.
    pub n_lengths: usize,
}

/// Filters at each length, then their derivatives where the basis has them. `weights` are `W₁`, `W₂`, of shapes `[f, n_gaussians]` and
/// `[f, f]`, `biases` `β₁`, `β₂`. Shape: `[n_lengths or twice that, f]`.
///
/// `None` on other backends.
pub fn edge_filters(basis: &LengthBasis, weights: [&Tensor<2>; 2], biases: [&Tensor<1>; 2]) -> Option<Tensor<2>> {
    let [w1, w2] = weights.map(Primitive::of);
    let [b1, b2] = biases.map(Primitive::of);
    let operation = EdgeFilters { n: basis.n_lengths };
    run(operation, [Primitive::of(&basis.gaussians), Primitive::of(&basis.cutoff), w1, b1, w2, b2])
}

#[derive(Debug, Clone)]
struct EdgeFilters {
    n: usize,
}

/// Adds the sum of `weight · row` over all rows to `sum`.
fn add_weighted_rows<T: Number>(sum: &mut [T], rows: &[T], weights: &[T]) {
    let width = sum.len();
    vectorized(
        #[inline(always)]
        || {
            for (row, &weight) in rows.chunks_exact(width).zip(weights) {
                for (sum, &x) in sum.iter_mut().zip(row) {
                    *sum += weight * x;
                }
            }
        },
    );
}

impl Operation<6> for EdgeFilters {
    fn forward<T: Number>(&self, [gaussians, cutoff, w1, b1, w2, b2]: [Input<'_, T>; 6], keep: bool) -> Forward<T> {
        let ((rows, g), (width, _)) = (gaussians.matrix(), w1.matrix());
        let shift = T::of(SOFTPLUS_SHIFT);
        let weight = Factor::new(w1.values, width, g).transpose();
        let mut hidden = product(Factor::new(gaussians.values, rows, g), weight);
        // `h` becomes `σ`; `p` and `p′` are made beside.
        let mut p = vec![T::ZERO; rows * width];
        let (sigmoid, slope) = hidden.split_at_mut(self.n * width);
        let (value, value_slope) = p.split_at_mut(self.n * width);
        let (c, c_slope) = cutoff.values.split_at(self.n);
        let has_slopes = !slope.is_empty();
        vectorized(
            #[inline(always)]
            || {
                for i in 0..c.len() {
                    let (c, own) = (c[i], i * width..(i + 1) * width);
                    let (h, value) = (&mut sigmoid[own.clone()], &mut value[own.clone()]);
                    for ((h, value), &b) in h.iter_mut().zip(&mut *value).zip(b1.values) {
                        let x = *h + b;
                        *value = x.softplus() - shift;
                        *h = x.sigmoid();
                    }
                    if has_slopes {
                        let (slope, value_slope, c_slope) = (&slope[own.clone()], &mut value_slope[own], c_slope[i]);
                        for (((out, &h), &s), &v) in value_slope.iter_mut().zip(slope).zip(&*h).zip(&*value) {
                            *out = c_slope * v + c * s * h;
                        }
                    }
                    for value in value {
                        *value *= c;
                    }
                }
            },
        );
        let mut output = vec![T::ZERO; rows * width];
        vectorized(
            #[inline(always)]
            || {
                for (row, &c) in output.chunks_exact_mut(width).zip(cutoff.values) {
                    for (out, &b) in row.iter_mut().zip(b2.values) {
                        *out = c * b;
                    }
                }
            },
        );
        let weight = Factor::new(w2.values, width, width).transpose();
        product_into(&mut output, Factor::new(&p, rows, width), weight, true);
        Forward { output, shape: vec![rows, width], saved: if keep { vec![hidden, p] } else { Vec::new() } }
    }

    fn backward<T: Number>(
        &self,
        [gaussians, cutoff, w1, _, w2, _]: [Input<'_, T>; 6],
        saved: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 6],
    ) -> [Option<Vec<T>>; 6] {
        let [hidden, p] = saved else { unreachable!("forward keeps two arrays") };
        let ((rows, g), (width, _)) = (gaussians.matrix(), w1.matrix());
        let f_bar = Factor::new(&gradient, rows, width);
        let mut b2_bar = vec![T::ZERO; width];
        add_weighted_rows(&mut b2_bar, &gradient, cutoff.values);
        let w2_bar = product(f_bar.transpose(), Factor::new(p, rows, width));
        // `p̄` becomes `h̄` in place.
        let mut bars = product(f_bar, Factor::new(w2.values, width, width));
        let (h_bar, slope_bar) = bars.split_at_mut(self.n * width);
        let (sigmoid, slope) = hidden.split_at(self.n * width);
        let (c, c_slope) = cutoff.values.split_at(self.n);
        let has_slopes = !slope.is_empty();
        vectorized(
            #[inline(always)]
            || {
                for i in 0..c.len() {
                    let (c, own) = (c[i], i * width..(i + 1) * width);
                    let (h_bar, s) = (&mut h_bar[own.clone()], &sigmoid[own.clone()]);
                    if has_slopes {
                        let (slope_bar, slope, c_slope) = (&mut slope_bar[own.clone()], &slope[own], c_slope[i]);
                        for (((h_bar, slope_bar), &s), &h) in h_bar.iter_mut().zip(slope_bar).zip(s).zip(slope) {
                            let through = c * *slope_bar * s;
                            *h_bar = s * (c * *h_bar + c_slope * *slope_bar) + through * h * (T::ONE - s);
                            *slope_bar = through;
                        }
                    } else {
                        for (h_bar, &s) in h_bar.iter_mut().zip(s) {
                            *h_bar *= c * s;
                        }
                    }
                }
            },
        );
        let mut b1_bar = vec![T::ZERO; width];
        add_weighted_rows(&mut b1_bar, &bars[..self.n * width], &vec![T::ONE; self.n]);
        let w1_bar = product(Factor::new(&bars, rows, width).transpose(), Factor::new(gaussians.values, rows, g));
        [None, None, Some(w1_bar), Some(b1_bar), Some(w2_bar), Some(b2_bar)]
    }
}
