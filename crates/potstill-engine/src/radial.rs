//! Functions of a distance, in f64, with derivatives: what the filters are made of. They run when a model is loaded, or at each
//! edge where exact filters are asked for.
//!
//! Sources and constants are those of the networks in `potstill-nn`, whose tests compare with the reference.

use std::f64::consts::PI;

use potstill_kernels::radial::{exponential_envelope, linspace, log_binomials, polynomial_envelope};

use potstill_core::model::{EnvelopeKind, RadialKind};

/// A value and its derivative.
pub type Slope = (f64, f64);

/// Gaussians on a regular grid: `exp(−γ (x − μ_k)²)`.
#[derive(Debug, Clone)]
pub struct Gaussians {
    offsets: Vec<f64>,
    coefficient: f64,
}

impl Gaussians {
    /// `n` (at least 2) centres from 0 to `stop`, rounded to f32 as in published checkpoints.
    pub fn new(stop: f64, n: usize) -> Self {
        let offsets = linspace(0.0, stop as f32, n);
        let delta = f64::from(offsets[1] - offsets[0]);
        let offsets = offsets.into_iter().map(f64::from).collect();
        Self { offsets, coefficient: -0.5 / (delta * delta) }
    }

    /// Writes values and derivatives at `x`.
    pub fn at(&self, x: f64, out: &mut [Slope]) {
        for (out, offset) in out.iter_mut().zip(&self.offsets) {
            let d = x - offset;
            let value = (self.coefficient * d * d).exp();
            *out = (value, 2.0 * self.coefficient * d * value);
        }
    }
}

/// `½ (cos(π d / cutoff) + 1)`.
pub fn cosine_cutoff(d: f64, cutoff: f64) -> Slope {
    let k = PI / cutoff;
    (0.5 * ((k * d).cos() + 1.0), -0.5 * k * (k * d).sin())
}

/// A radial basis of the scaled distance with its envelope.
#[derive(Debug, Clone)]
pub struct RadialBasis {
    functions: Functions,
    envelope: Envelope,
    cutoff: f64,
}

#[derive(Debug, Clone)]
enum Functions {
    Gaussian(Gaussians),
    SphericalBessel(Vec<f64>),
    /// Width, and logarithms of the binomial coefficients.
    Bernstein(f64, Vec<f64>),
}

#[derive(Debug, Clone, Copy)]
enum Envelope {
    Polynomial(u32),
    Exponential,
}

impl RadialBasis {
    /// `n` functions; `trained` holds frequencies of spherical Bessel functions, or the width of Bernstein polynomials.
    pub fn new(
        kind: RadialKind,
        n: usize,
        trained: &[f64],
        envelope: EnvelopeKind,
        exponent: u32,
        cutoff: f64,
    ) -> Self {
        let functions = match kind {
            RadialKind::Gaussian => Functions::Gaussian(Gaussians::new(1.0, n)),
            RadialKind::SphericalBessel => Functions::SphericalBessel(trained.to_vec()),
            RadialKind::Bernstein => {
                let pregamma = trained.first().copied().unwrap_or(0.0);
                Functions::Bernstein(pregamma.max(0.0) + (-pregamma.abs()).exp().ln_1p(), log_binomials(n - 1))
            }
        };
        let envelope = match envelope {
            EnvelopeKind::Polynomial => Envelope::Polynomial(exponent),
            EnvelopeKind::Exponential => Envelope::Exponential,
        };
        Self { functions, envelope, cutoff }
    }

    /// Envelope times basis at a distance in Å.
    pub fn at(&self, d: f64, out: &mut [Slope]) {
        let x = d / self.cutoff;
        match &self.functions {
            Functions::Gaussian(gaussians) => gaussians.at(x, out),
            Functions::SphericalBessel(frequencies) => {
                let norm = (2.0 / self.cutoff.powi(3)).sqrt();
                for (out, f) in out.iter_mut().zip(frequencies) {
                    let (sin, cos) = (f * x).sin_cos();
                    let value = norm * sin / x;
                    *out = (value, norm * f * cos / x - value / x);
                }
            }
            Functions::Bernstein(gamma, log_binomials) => {
                let n = log_binomials.len();
                let e = (-gamma * x).exp();
                let complement = -(-gamma * x).exp_m1();
                for (k, (out, log_binomial)) in out.iter_mut().zip(log_binomials).enumerate() {
                    let (k, rest) = (k as f64, (n - 1 - k) as f64);
                    let value = (complement.ln() * rest - x * gamma * k + log_binomial).exp();
                    *out = (value, value * (e / complement * rest - k) * gamma);
                }
            }
        }
        let (u, du) = self.envelope.at(x);
        for out in out.iter_mut() {
            *out = (u * out.0, (du * out.0 + u * out.1) / self.cutoff);
        }
    }

    /// The envelope alone.
    pub fn envelope(&self, d: f64) -> Slope {
        let (u, du) = self.envelope.at(d / self.cutoff);
        (u, du / self.cutoff)
    }
}

impl Envelope {
    fn at(self, x: f64) -> Slope {
        match self {
            Self::Polynomial(exponent) => polynomial_envelope(x, exponent),
            Self::Exponential => exponential_envelope(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_central_differences() {
        let trained: Vec<f64> = (1..=8).map(|k| PI * f64::from(k)).collect();
        for kind in [RadialKind::Gaussian, RadialKind::SphericalBessel, RadialKind::Bernstein] {
            for envelope in [EnvelopeKind::Polynomial, EnvelopeKind::Exponential] {
                let basis = RadialBasis::new(kind, 8, &trained, envelope, 5, 5.0);
                let at = |d: f64| {
                    let mut out = vec![(0.0, 0.0); 8];
                    basis.at(d, &mut out);
                    out.push(basis.envelope(d));
                    out
                };
                for d in [0.7, 2.5, 4.8] {
                    let h = 1e-5;
                    for ((above, here), below) in at(d + h).into_iter().zip(at(d)).zip(at(d - h)) {
                        assert!(((above.0 - below.0) / (2.0 * h) - here.1).abs() < 1e-8, "{kind:?} {envelope:?} {d}");
                    }
                }
                assert!(at(5.0).iter().all(|v| v.0 == 0.0));
            }
        }
        let h = 1e-5;
        let difference = (cosine_cutoff(2.0 + h, 5.0).0 - cosine_cutoff(2.0 - h, 5.0).0) / (2.0 * h);
        assert!((difference - cosine_cutoff(2.0, 5.0).1).abs() < 1e-9);
    }
}
