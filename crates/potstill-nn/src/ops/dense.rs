//! A linear map, with or without the activation.

use burn::tensor::Tensor;
use potstill_kernels::{Number, activation};

use super::operation::{Forward, Input, Operation, Primitive, run};
use super::product::{Factor, product};
use crate::tensors::scaled_silu;

/// `x Wᵀ`. Shape: `[n, input]` and `[output, input]` to `[n, output]`.
pub fn dense(x: &Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let fused = run(DenseOperation { activated: false }, [Primitive::of(x), Primitive::of(weight)]);
    fused.unwrap_or_else(|| portable(x, weight))
}

/// [`scaled_silu`] of `x Wᵀ`. Same shapes.
pub fn dense_silu(x: &Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let fused = run(DenseOperation { activated: true }, [Primitive::of(x), Primitive::of(weight)]);
    fused.unwrap_or_else(|| scaled_silu(portable(x, weight)))
}

fn portable(x: &Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    x.clone().matmul(weight.clone().transpose())
}

#[derive(Debug, Clone)]
struct DenseOperation {
    activated: bool,
}

impl Operation<2> for DenseOperation {
    fn forward<T: Number>(&self, [x, weight]: [Input<'_, T>; 2], save: bool) -> Forward<T> {
        let ((n, input), (output, _)) = (x.matrix(), weight.matrix());
        let weight = Factor::new(weight.values, output, input).transpose();
        let mut y = product(Factor::new(x.values, n, input), weight);
        let mut saved = Vec::new();
        if self.activated && save {
            let activated = silu_of(&y);
            saved.push(std::mem::replace(&mut y, activated));
        } else if self.activated {
            activation::scaled_silu_in_place(&mut y);
        }
        Forward { output: y, shape: vec![n, output], saved }
    }

    fn backward<T: Number>(
        &self,
        [x, weight]: [Input<'_, T>; 2],
        saved: &[Vec<T>],
        mut gradient: Vec<T>,
        [x_wanted, weight_wanted]: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let ((n, input), (output, _)) = (x.matrix(), weight.matrix());
        if let Some(argument) = saved.first() {
            activation::scaled_silu_adjoint(argument, &mut gradient);
        }
        let gradient = Factor::new(&gradient, n, output);
        [
            x_wanted.then(|| product(gradient, Factor::new(weight.values, output, input))),
            weight_wanted.then(|| product(gradient.transpose(), Factor::new(x.values, n, input))),
        ]
    }
}

/// [`scaled_silu`] of each value.
pub(super) fn silu_of<T: Number>(values: &[T]) -> Vec<T> {
    let mut activated = vec![T::ZERO; values.len()];
    activation::scaled_silu(values, &mut activated);
    activated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_derivatives;

    #[test]
    fn agrees_with_plain_operations() {
        same_derivatives([[7, 5], [4, 5]], |[x, w]| dense(x, w), |[x, w]| portable(x, w));
        same_derivatives([[7, 5], [4, 5]], |[x, w]| dense_silu(x, w), |[x, w]| scaled_silu(portable(x, w)));
        same_derivatives([[0, 5], [4, 5]], |[x, w]| dense_silu(x, w), |[x, w]| scaled_silu(portable(x, w)));
    }
}
