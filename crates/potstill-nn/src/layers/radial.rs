//! Gaussians, envelopes and the cosine cutoff of tensors of distances, with derivatives.
//!
//! Inputs are constants of the graph, so these run without recording anything for differentiation.

use burn::tensor::Tensor;
use potstill_kernels::radial::{Envelope, Gaussians};

use crate::batch::float_tensor;

/// Values of Gaussians. Shape: `[n_edges, 1]` to `[n_edges, n]`.
pub fn gaussian_values(basis: &Gaussians, x: Tensor<2>) -> Tensor<2> {
    centered(basis, x).powi_scalar(2).mul_scalar(basis.coefficient).exp()
}

/// Derivatives of Gaussians, given their values. Shape: `[n_edges, n]`.
pub fn gaussian_slopes(basis: &Gaussians, x: Tensor<2>, values: Tensor<2>) -> Tensor<2> {
    values * centered(basis, x).mul_scalar(2.0 * basis.coefficient)
}

fn centered(basis: &Gaussians, x: Tensor<2>) -> Tensor<2> {
    let offsets = float_tensor(basis.offsets.clone(), [1, basis.len()], &x.device(), x.dtype());
    x - offsets
}

/// `½ (cos(π d / cutoff) + 1)`, SchNet's cutoff function; not clamped, edges end at the cutoff.
pub fn cosine_cutoff(distance: Tensor<2>, cutoff: f64) -> Tensor<2> {
    distance.mul_scalar(std::f64::consts::PI / cutoff).cos().add_scalar(1.0).mul_scalar(0.5)
}

/// Derivative of [`cosine_cutoff`] with respect to the distance.
pub fn cosine_cutoff_derivative(distance: Tensor<2>, cutoff: f64) -> Tensor<2> {
    let k = std::f64::consts::PI / cutoff;
    distance.mul_scalar(k).sin().mul_scalar(-0.5 * k)
}

/// Values of an envelope at scaled distances `x = d / cutoff`, of the same shape.
pub fn envelope_values(envelope: Envelope, x: Tensor<2>) -> Tensor<2> {
    let inside = inside(x.clone());
    match envelope {
        Envelope::Polynomial(exponent) => {
            let (a, b, c) = Envelope::coefficients(exponent);
            let tail = x.clone().mul_scalar(c).add_scalar(b) * x.clone();
            (tail.add_scalar(a) * x.powi_scalar(exponent as i32)).add_scalar(1.0) * inside
        }
        Envelope::Exponential => {
            let (x2, rest) = exponent_parts(x, &inside);
            (x2 / rest).neg().exp() * inside
        }
    }
}

/// Derivatives of an envelope with respect to `x`, of the same shape.
pub fn envelope_slopes(envelope: Envelope, x: Tensor<2>) -> Tensor<2> {
    let inside = inside(x.clone());
    match envelope {
        Envelope::Polynomial(exponent) => {
            let (a, b, c) = Envelope::coefficients(exponent);
            let p = f64::from(exponent);
            let tail = x.clone().mul_scalar(c * (p + 2.0)).add_scalar(b * (p + 1.0)) * x.clone();
            tail.add_scalar(a * p) * x.powi_scalar(exponent as i32 - 1) * inside
        }
        Envelope::Exponential => {
            let (x2, rest) = exponent_parts(x.clone(), &inside);
            let value = (x2 / rest.clone()).neg().exp() * inside;
            value * x.mul_scalar(-2.0) / rest.powi_scalar(2)
        }
    }
}

/// `x²` and `1 − x²`; 0 and 1 beyond the cutoff, where the quotient must not blow up.
fn exponent_parts(x: Tensor<2>, inside: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let x2 = x.powi_scalar(2) * inside.clone();
    (x2.clone(), x2.neg().add_scalar(1.0))
}

/// 1 where `x < 1`, else 0.
fn inside(x: Tensor<2>) -> Tensor<2> {
    let dtype = x.dtype();
    x.lower_elem(1.0).float().cast(dtype)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::batch::to_host;

    #[test]
    fn derivatives_of_envelopes_are_central_differences() {
        let at = |x: f64| float_tensor::<2>(vec![x], [1, 1], &Device::flex(), DType::F64);
        for envelope in [Envelope::Polynomial(5), Envelope::Polynomial(2), Envelope::Exponential] {
            for x in [0.1, 0.5, 0.93] {
                let h = 1e-6;
                let difference = (to_host(&envelope_values(envelope, at(x + h)))[0]
                    - to_host(&envelope_values(envelope, at(x - h)))[0])
                    / (2.0 * h);
                assert!((difference - to_host(&envelope_slopes(envelope, at(x)))[0]).abs() < 1e-8, "{envelope:?} {x}");
                let host = [envelope_values(envelope, at(x)), envelope_slopes(envelope, at(x))].map(|t| to_host(&t)[0]);
                assert!(
                    (host[0] - envelope.at(x).0).abs() < 1e-14 && (host[1] - envelope.at(x).1).abs() < 1e-14,
                    "{envelope:?} {x}"
                );
            }
            for x in [1.0, 1.3] {
                assert_eq!(to_host(&envelope_values(envelope, at(x))), [0.0], "{envelope:?}");
                assert_eq!(to_host(&envelope_slopes(envelope, at(x))), [0.0], "{envelope:?}");
            }
        }
    }
}
