//! Features times a linear map of a basis.

use burn::tensor::Tensor;
use potstill_kernels::number::{Number, vectorized};

use super::operation::{Forward, Input, Operation, Primitive, run};
use super::product::{Factor, product};

/// `factor · x ∘ (b Wᵀ)`. Shape: `[n, c]`, `[n, k]` and `[c, k]` to `[n, c]`.
pub fn gate(x: &Tensor<2>, basis: &Tensor<2>, weight: &Tensor<2>, factor: f64) -> Tensor<2> {
    let fused = run(GateOperation { factor }, [Primitive::of(x), Primitive::of(basis), Primitive::of(weight)]);
    fused.unwrap_or_else(|| portable(x, basis, weight, factor))
}

fn portable(x: &Tensor<2>, basis: &Tensor<2>, weight: &Tensor<2>, factor: f64) -> Tensor<2> {
    (x.clone() * basis.clone().matmul(weight.clone().transpose())).mul_scalar(factor)
}

#[derive(Debug, Clone)]
struct GateOperation {
    factor: f64,
}

impl GateOperation {
    fn filter<T: Number>(basis: &Input<'_, T>, weight: &Input<'_, T>) -> Vec<T> {
        let ((n, k), (c, _)) = (basis.matrix(), weight.matrix());
        product(Factor::new(basis.values, n, k), Factor::new(weight.values, c, k).transpose())
    }
}

/// `values = factor · values ∘ by`
fn scale_by<T: Number>(values: &mut [T], by: &[T], factor: f64) {
    let factor = T::of(factor);
    vectorized(
        #[inline(always)]
        || {
            for (value, &by) in values.iter_mut().zip(by) {
                *value = *value * by * factor;
            }
        },
    );
}

impl Operation<3> for GateOperation {
    fn forward<T: Number>(&self, [x, basis, weight]: [Input<'_, T>; 3], _: bool) -> Forward<T> {
        let mut y = Self::filter(&basis, &weight);
        scale_by(&mut y, x.values, self.factor);
        Forward { output: y, shape: x.shape.to_vec(), saved: Vec::new() }
    }

    /// Gradients; the filter is recomputed, since it is cheap to compute and large to save.
    fn backward<T: Number>(
        &self,
        [x, basis, weight]: [Input<'_, T>; 3],
        _: &[Vec<T>],
        mut gradient: Vec<T>,
        [x_wanted, basis_wanted, weight_wanted]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let ((n, k), (c, _)) = (basis.matrix(), weight.matrix());
        let x_gradient = x_wanted.then(|| {
            let mut filter = Self::filter(&basis, &weight);
            scale_by(&mut filter, &gradient, self.factor);
            filter
        });
        scale_by(&mut gradient, x.values, self.factor);
        let gradient = Factor::new(&gradient, n, c);
        [
            x_gradient,
            basis_wanted.then(|| product(gradient, Factor::new(weight.values, c, k))),
            weight_wanted.then(|| product(gradient.transpose(), Factor::new(basis.values, n, k))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_derivatives;

    #[test]
    fn agrees_with_plain_operations() {
        let shapes = [[9, 6], [9, 3], [6, 3]];
        same_derivatives(shapes, |[x, b, w]| gate(x, b, w, 1.3), |[x, b, w]| portable(x, b, w, 1.3));
    }
}
