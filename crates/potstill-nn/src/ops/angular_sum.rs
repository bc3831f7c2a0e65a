//! Sums over neighbours of neighbours, contracted with the coefficients of each output.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::host_fan::HostFan;
use super::operation::{Forward, Input, Operation, Primitive, run};
use potstill_kernels::number::{Number, vectorized};
use potstill_kernels::rows::{add_scaled, dot};

/// `z_o = C_o (Σ_i Y_oi ⊗ x_i)` for each output `o`, where `i` runs over the inputs of the rows of `o`.
///
/// Shapes: `x` `[n_inputs, c]`; `basis` (Y) `[rows, s, width]`, a constant; `coefficients` (C) `[n, k, s']` with `s'` a
/// multiple of `s`: an output has `s' / s` consecutive rows. Result: `[n, k·c]`. Nothing per input is stored.
///
/// `None` on other backends.
pub fn angular_sum(
    x: &Tensor<2>,
    basis: &Tensor<3>,
    coefficients: &Tensor<3>,
    fan: &Arc<HostFan>,
) -> Option<Tensor<2>> {
    let operation = AngularSum { fan: fan.clone() };
    run(operation, [Primitive::of(x), Primitive::of(basis), Primitive::of(coefficients)])
}

#[derive(Debug, Clone)]
struct AngularSum {
    fan: Arc<HostFan>,
}

/// Lengths of an [`AngularSum`].
struct Sizes {
    c: usize,
    s: usize,
    n: usize,
    k: usize,
    rows: usize,
}

impl Sizes {
    fn of<T>(x: &Input<'_, T>, basis: &Input<'_, T>, coefficients: &Input<'_, T>) -> Self {
        let s = basis.shape[1];
        Self {
            c: x.shape[1],
            s,
            n: coefficients.shape[0],
            k: coefficients.shape[1],
            rows: coefficients.shape[2] / s.max(1),
        }
    }
}

impl AngularSum {
    /// `Σ_i Y_oi ⊗ x_i` of one output into `sums`, by row and function.
    #[inline(always)]
    fn sums<T: Number>(&self, sizes: &Sizes, output: usize, x: &[T], basis: &[T], sums: &mut [T]) {
        let (c, s, width) = (sizes.c, sizes.s, self.fan.width);
        sums.fill(T::ZERO);
        for (row, sums) in (output * sizes.rows..).zip(sums.chunks_exact_mut(s * c)) {
            for (slot, input) in self.fan.slots(row) {
                let x = &x[input * c..(input + 1) * c];
                for (f, sum) in sums.chunks_exact_mut(c).enumerate() {
                    add_scaled(sum, basis[(row * s + f) * width + slot], x);
                }
            }
        }
    }
}

impl Operation<3> for AngularSum {
    fn forward<T: Number>(&self, [x, basis, coefficients]: [Input<'_, T>; 3], _: bool) -> Forward<T> {
        let sizes = Sizes::of(&x, &basis, &coefficients);
        let (c, k, inner) = (sizes.c, sizes.k, sizes.rows * sizes.s);
        let mut output = vec![T::ZERO; sizes.n * k * c];
        let mut sums = vec![T::ZERO; inner * c];
        vectorized(
            #[inline(always)]
            || {
                for (o, z) in output.chunks_exact_mut(k * c).enumerate() {
                    self.sums(&sizes, o, x.values, basis.values, &mut sums);
                    for (z, coefficients) in
                        z.chunks_exact_mut(c).zip(coefficients.values[o * k * inner..].chunks_exact(inner))
                    {
                        for (&a, sum) in coefficients.iter().zip(sums.chunks_exact(c)) {
                            add_scaled(z, a, sum);
                        }
                    }
                }
            },
        );
        Forward { output, shape: vec![sizes.n, k * c], saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [x, basis, coefficients]: [Input<'_, T>; 3],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let sizes = Sizes::of(&x, &basis, &coefficients);
        let (c, k, s, width, inner) = (sizes.c, sizes.k, sizes.s, self.fan.width, sizes.rows * sizes.s);
        let mut x_gradient = vec![T::ZERO; x.values.len()];
        let mut coefficient_gradient = vec![T::ZERO; coefficients.values.len()];
        let (mut sums, mut sum_gradient) = (vec![T::ZERO; inner * c], vec![T::ZERO; inner * c]);
        vectorized(
            #[inline(always)]
            || {
                for (o, gradient) in gradient.chunks_exact(k * c).enumerate() {
                    self.sums(&sizes, o, x.values, basis.values, &mut sums);
                    sum_gradient.fill(T::ZERO);
                    for (row, gradient) in gradient.chunks_exact(c).enumerate() {
                        let start = (o * k + row) * inner;
                        let own = &coefficients.values[start..start + inner];
                        let own_gradient = &mut coefficient_gradient[start..start + inner];
                        for (f, (sum, sum_gradient)) in
                            sums.chunks_exact(c).zip(sum_gradient.chunks_exact_mut(c)).enumerate()
                        {
                            own_gradient[f] = dot(gradient, sum);
                            add_scaled(sum_gradient, own[f], gradient);
                        }
                    }
                    for (row, sum_gradient) in (o * sizes.rows..).zip(sum_gradient.chunks_exact(s * c)) {
                        for (slot, input) in self.fan.slots(row) {
                            let x_gradient = &mut x_gradient[input * c..(input + 1) * c];
                            for (f, sum_gradient) in sum_gradient.chunks_exact(c).enumerate() {
                                add_scaled(x_gradient, basis.values[(row * s + f) * width + slot], sum_gradient);
                            }
                        }
                    }
                }
            },
        );
        [Some(x_gradient), None, Some(coefficient_gradient)]
    }
}
