//! Radial bases and cutoff functions of a distance, with derivatives.
//!
//! Inputs are constants of the graph, so these run without recording anything for differentiation.

use burn::tensor::{DType, Device, Tensor};
use potstill_kernels::radial::{exponential_envelope, linspace, polynomial_envelope};

use crate::batch::float_tensor;

/// Gaussians on a regular grid: `exp(−γ (x − μ_k)²)`, `γ = ½ / Δ²`.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianBasis {
    /// Centres `μ_k`, rounded to f32 as in published checkpoints.
    pub offsets: Vec<f64>,
    /// `−γ`; from the f32 difference of the first two centres, as PyTorch Geometric computes it.
    pub coefficient: f64,
}

impl GaussianBasis {
    /// `n` centres from `start` to `stop`; `n` is at least 2.
    pub fn new(start: f64, stop: f64, n: usize) -> Self {
        let offsets = linspace(start as f32, stop as f32, n);
        let delta = f64::from(offsets[1] - offsets[0]);
        Self { offsets: offsets.into_iter().map(f64::from).collect(), coefficient: -0.5 / (delta * delta) }
    }

    /// The same centres with the width computed exactly, as GemNet-OC does.
    pub fn exact(start: f64, stop: f64, n: usize) -> Self {
        let delta = (stop - start) / (n - 1) as f64;
        Self { coefficient: -0.5 / (delta * delta), ..Self::new(start, stop, n) }
    }

    /// Values for each distance. Shape: `[n_edges, 1]` to `[n_edges, n]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.centered(x).powi_scalar(2).mul_scalar(self.coefficient).exp()
    }

    /// Derivatives with respect to the distance, given the values. Shape: `[n_edges, n]`.
    pub fn derivative(&self, x: Tensor<2>, values: Tensor<2>) -> Tensor<2> {
        values * self.centered(x).mul_scalar(2.0 * self.coefficient)
    }

    fn centered(&self, x: Tensor<2>) -> Tensor<2> {
        let n = self.offsets.len();
        x.clone() - self.offsets_tensor(&x.device(), x.dtype()).reshape([1, n])
    }

    fn offsets_tensor(&self, device: &Device, dtype: DType) -> Tensor<1> {
        float_tensor(self.offsets.clone(), [self.offsets.len()], device, dtype)
    }
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

/// A function that takes a radial basis smoothly to zero at the cutoff.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Envelope {
    /// `u(x) = 1 + a xᵖ + b xᵖ⁺¹ + c xᵖ⁺²`, zero with two derivatives at `x = 1`
    /// (Gasteiger et al., DimeNet, arXiv 2003.03123, eq. 8).
    Polynomial(u32),
    /// `exp(−x² / (1 − x²))`, zero with all derivatives at `x = 1`.
    Exponential,
}

impl Envelope {
    /// Values at scaled distances `x = d / cutoff`. Shape kept.
    pub fn forward(self, x: Tensor<2>) -> Tensor<2> {
        let inside = inside(x.clone());
        match self {
            Self::Polynomial(exponent) => {
                let (a, b, c) = coefficients(exponent);
                let tail = x.clone().mul_scalar(c).add_scalar(b) * x.clone();
                (tail.add_scalar(a) * x.powi_scalar(exponent as i32)).add_scalar(1.0) * inside
            }
            Self::Exponential => {
                let (x2, rest) = exponent_parts(x, &inside);
                (x2 / rest).neg().exp() * inside
            }
        }
    }

    /// Value and derivative with respect to `x` on the host.
    pub fn at(self, x: f64) -> [f64; 2] {
        match self {
            Self::Polynomial(exponent) => polynomial_envelope(x, exponent),
            Self::Exponential => exponential_envelope(x),
        }
        .into()
    }

    /// Derivatives with respect to `x`. Shape kept.
    pub fn derivative(self, x: Tensor<2>) -> Tensor<2> {
        let inside = inside(x.clone());
        match self {
            Self::Polynomial(exponent) => {
                let (a, b, c) = coefficients(exponent);
                let p = f64::from(exponent);
                let tail = x.clone().mul_scalar(c * (p + 2.0)).add_scalar(b * (p + 1.0)) * x.clone();
                tail.add_scalar(a * p) * x.powi_scalar(exponent as i32 - 1) * inside
            }
            Self::Exponential => {
                let (x2, rest) = exponent_parts(x.clone(), &inside);
                let value = (x2 / rest.clone()).neg().exp() * inside;
                value * x.mul_scalar(-2.0) / rest.powi_scalar(2)
            }
        }
    }
}

fn coefficients(exponent: u32) -> (f64, f64, f64) {
    let p = f64::from(exponent);
    (-(p + 1.0) * (p + 2.0) / 2.0, p * (p + 2.0), -p * (p + 1.0) / 2.0)
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
    use super::*;
    use crate::batch::to_host;

    #[test]
    fn derivatives_of_envelopes_are_central_differences() {
        let at = |x: f64| float_tensor::<2>(vec![x], [1, 1], &Device::flex(), DType::F64);
        for envelope in [Envelope::Polynomial(5), Envelope::Polynomial(2), Envelope::Exponential] {
            for x in [0.1, 0.5, 0.93] {
                let h = 1e-6;
                let difference =
                    (to_host(&envelope.forward(at(x + h)))[0] - to_host(&envelope.forward(at(x - h)))[0]) / (2.0 * h);
                assert!((difference - to_host(&envelope.derivative(at(x)))[0]).abs() < 1e-8, "{envelope:?} {x}");
                let host = [envelope.forward(at(x)), envelope.derivative(at(x))].map(|t| to_host(&t)[0]);
                assert!((0..2).all(|i| (host[i] - envelope.at(x)[i]).abs() < 1e-14), "{envelope:?} {x}");
            }
            for x in [1.0, 1.3] {
                assert_eq!(to_host(&envelope.forward(at(x))), [0.0], "{envelope:?}");
                assert_eq!(to_host(&envelope.derivative(at(x))), [0.0], "{envelope:?}");
            }
        }
    }
}
