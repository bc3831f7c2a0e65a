//! Two dense layers and a skip connection.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::Tensor;
use potstill_kernels::activation::{SILU_GAIN, scaled_silu_adjoint};
use potstill_kernels::number::{Number, vectorized};

use super::dense::silu_of;
use super::operation::{Forward, Input, Operation, Primitive, run};
use super::product::{Factor, product, product_into};
use crate::tensors::scaled_silu;

/// `(x + σ(W₂ σ(W₁ x))) / √2` with the scaled SiLU for σ. Shape: `[n, c]`, twice `[c, c]`, to `[n, c]`.
///
/// Saves the two arguments of σ; `σ(W₁ x)` is recomputed from its argument, which is cheaper than reading it.
pub fn residual(x: &Tensor<2>, first: &Tensor<2>, second: &Tensor<2>) -> Tensor<2> {
    let fused = run(ResidualOperation, [Primitive::of(x), Primitive::of(first), Primitive::of(second)]);
    fused.unwrap_or_else(|| portable(x, first, second))
}

fn portable(x: &Tensor<2>, first: &Tensor<2>, second: &Tensor<2>) -> Tensor<2> {
    let inner = scaled_silu(x.clone().matmul(first.clone().transpose()));
    let change = scaled_silu(inner.matmul(second.clone().transpose()));
    (x.clone() + change).mul_scalar(FRAC_1_SQRT_2)
}

#[derive(Debug, Clone)]
struct ResidualOperation;

impl Operation<3> for ResidualOperation {
    fn forward<T: Number>(&self, [x, first, second]: [Input<'_, T>; 3], save: bool) -> Forward<T> {
        let (n, c) = x.matrix();
        let mut saved = Vec::new();
        let argument = product(Factor::new(x.values, n, c), Factor::new(first.values, c, c).transpose());
        let inner = silu_of(&argument);
        if save {
            saved.push(argument);
        }
        let argument = product(Factor::new(&inner, n, c), Factor::new(second.values, c, c).transpose());
        let (factor, gain) = (T::of(FRAC_1_SQRT_2), T::of(SILU_GAIN));
        let mut output = vec![T::ZERO; n * c];
        vectorized(
            #[inline(always)]
            || {
                for ((output, &argument), &x) in output.iter_mut().zip(&argument).zip(x.values) {
                    *output = (argument * argument.sigmoid() * gain + x) * factor;
                }
            },
        );
        if save {
            saved.push(argument);
        }
        Forward { output, shape: vec![n, c], saved }
    }

    fn backward<T: Number>(
        &self,
        [x, first, second]: [Input<'_, T>; 3],
        saved: &[Vec<T>],
        mut gradient: Vec<T>,
        [x_wanted, first_wanted, second_wanted]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let [inner_argument, outer_argument] = saved else { unreachable!("forward saves two arrays") };
        let (n, c) = x.matrix();
        let factor = T::of(FRAC_1_SQRT_2);
        vectorized(
            #[inline(always)]
            || {
                for gradient in &mut gradient {
                    *gradient *= factor;
                }
            },
        );
        let mut outer = gradient.clone();
        scaled_silu_adjoint(outer_argument, &mut outer);
        let outer = Factor::new(&outer, n, c);
        let second_gradient =
            second_wanted.then(|| product(outer.transpose(), Factor::new(&silu_of(inner_argument), n, c)));
        let mut inner = product(outer, Factor::new(second.values, c, c));
        scaled_silu_adjoint(inner_argument, &mut inner);
        let inner = Factor::new(&inner, n, c);
        let first_gradient = first_wanted.then(|| product(inner.transpose(), Factor::new(x.values, n, c)));
        let x_gradient = x_wanted.then(|| {
            product_into(&mut gradient, inner, Factor::new(first.values, c, c), true);
            gradient
        });
        [x_gradient, first_gradient, second_gradient]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_derivatives;

    #[test]
    fn agrees_with_plain_operations() {
        let shapes = [[9, 6], [6, 6], [6, 6]];
        same_derivatives(shapes, |[x, a, b]| residual(x, a, b), |[x, a, b]| portable(x, a, b));
    }
}
