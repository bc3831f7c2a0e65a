//! The sum over quadruplets.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::host_fan::HostFan;
use super::operation::{Forward, Input, Operation, Primitive, run};
use super::product::{Factor, product_into};
use potstill_kernels::number::{Number, vectorized};
use potstill_kernels::rows::add_scaled;

/// `z_o = C_o (Σ_b P_ob ⊗ Σ_d D_obd ⊗ x_bd)` for each edge `o = c → a`, its inner edges `b → a` and their edges `d → b`.
///
/// Shapes: `x` `[n_inner · width', c]`; `dihedral` (D) `[n · width, s, width']` and `polar` (P) `[n, s, width]`, constants;
/// `coefficients` (C) `[n, k, s²]`. Result: `[n, k·c]`. `outgoing` lists the inner edges of each output; `incoming` says how
/// many slots of `x` each inner edge uses. Keeps the sums over `b` and `d`, `[n, s², c]`.
///
/// `None` on other backends.
pub fn dihedral_sum(
    x: &Tensor<2>,
    dihedral: &Tensor<3>,
    polar: &Tensor<3>,
    coefficients: &Tensor<3>,
    outgoing: &Arc<HostFan>,
    incoming: &Arc<HostFan>,
) -> Option<Tensor<2>> {
    let operation = DihedralSum { outgoing: outgoing.clone(), incoming: incoming.clone() };
    run(operation, [Primitive::of(x), Primitive::of(dihedral), Primitive::of(polar), Primitive::of(coefficients)])
}

#[derive(Debug, Clone)]
struct DihedralSum {
    outgoing: Arc<HostFan>,
    incoming: Arc<HostFan>,
}

impl Operation<4> for DihedralSum {
    fn forward<T: Number>(&self, [x, dihedral, polar, coefficients]: [Input<'_, T>; 4], keep: bool) -> Forward<T> {
        let (c, s) = (x.shape[1], polar.shape[1]);
        let (n, k) = (coefficients.shape[0], coefficients.shape[1]);
        let (width, inner_width) = (self.outgoing.width, self.incoming.width);
        let mut sums = vec![T::ZERO; n * s * s * c];
        let mut inner = vec![T::ZERO; s * c];
        vectorized(
            #[inline(always)]
            || {
                for (o, sums) in sums.chunks_exact_mut(s * s * c).enumerate() {
                    for (slot, b) in self.outgoing.slots(o) {
                        let taken = self.incoming.taken[b] as usize;
                        inner.fill(T::ZERO);
                        for (f, inner) in inner.chunks_exact_mut(c).enumerate() {
                            let start = ((o * width + slot) * s + f) * inner_width;
                            let angles = &dihedral.values[start..start + taken];
                            let rows = x.values[b * inner_width * c..].chunks_exact(c);
                            for (&a, row) in angles.iter().zip(rows) {
                                add_scaled(inner, a, row);
                            }
                        }
                        for (l, sums) in sums.chunks_exact_mut(s * c).enumerate() {
                            add_scaled(sums, polar.values[(o * s + l) * width + slot], &inner);
                        }
                    }
                }
            },
        );
        let mut output = vec![T::ZERO; n * k * c];
        for o in 0..n {
            let own = Factor::new(&coefficients.values[o * k * s * s..(o + 1) * k * s * s], k, s * s);
            let sums = Factor::new(&sums[o * s * s * c..(o + 1) * s * s * c], s * s, c);
            product_into(&mut output[o * k * c..(o + 1) * k * c], own, sums, false);
        }
        Forward { output, shape: vec![n, k * c], saved: if keep { vec![sums] } else { Vec::new() } }
    }

    fn backward<T: Number>(
        &self,
        [x, dihedral, polar, coefficients]: [Input<'_, T>; 4],
        saved: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 4],
    ) -> [Option<Vec<T>>; 4] {
        let [sums] = saved else { unreachable!("forward keeps one array") };
        let (c, s) = (x.shape[1], polar.shape[1]);
        let (n, k) = (coefficients.shape[0], coefficients.shape[1]);
        let (width, inner_width) = (self.outgoing.width, self.incoming.width);
        let mut coefficient_gradient = vec![T::ZERO; coefficients.values.len()];
        let mut x_gradient = vec![T::ZERO; x.values.len()];
        let (mut sum_gradient, mut inner) = (vec![T::ZERO; s * s * c], vec![T::ZERO; s * c]);
        for o in 0..n {
            let range = o * k * s * s..(o + 1) * k * s * s;
            let gradient = Factor::new(&gradient[o * k * c..(o + 1) * k * c], k, c);
            let sums = Factor::new(&sums[o * s * s * c..(o + 1) * s * s * c], s * s, c);
            product_into(&mut coefficient_gradient[range.clone()], gradient, sums.transpose(), false);
            let own = Factor::new(&coefficients.values[range], k, s * s);
            product_into(&mut sum_gradient, own.transpose(), gradient, false);
            vectorized(
                #[inline(always)]
                || {
                    for (slot, b) in self.outgoing.slots(o) {
                        inner.fill(T::ZERO);
                        for (l, sum_gradient) in sum_gradient.chunks_exact(s * c).enumerate() {
                            add_scaled(&mut inner, polar.values[(o * s + l) * width + slot], sum_gradient);
                        }
                        let taken = self.incoming.taken[b] as usize;
                        for (f, inner) in inner.chunks_exact(c).enumerate() {
                            let start = ((o * width + slot) * s + f) * inner_width;
                            let angles = &dihedral.values[start..start + taken];
                            let rows = x_gradient[b * inner_width * c..].chunks_exact_mut(c);
                            for (&a, row) in angles.iter().zip(rows) {
                                add_scaled(row, a, inner);
                            }
                        }
                    }
                },
            );
        }
        [Some(x_gradient), None, None, Some(coefficient_gradient)]
    }
}
