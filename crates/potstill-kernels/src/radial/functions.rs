//! The radial bases of published networks, as functions of the scaled distance.

use super::{Envelope, Gaussians, Slope};

/// Logarithms of the binomial coefficients, `ln C(m, k)` for `k = 0 … m`: those of a hundred functions overflow f32.
pub fn log_binomials(m: usize) -> Vec<f64> {
    let mut values = vec![0.0];
    for k in 0..m {
        values.push(values[k] + ((m - k) as f64).ln() - ((k + 1) as f64).ln());
    }
    values
}

/// Radial functions of the scaled distance `x = d / cutoff`, without envelope.
#[derive(Debug, Clone)]
pub enum RadialFunctions {
    /// Gaussians on a grid.
    Gaussian(Gaussians),
    /// Spherical Bessel functions `√(2/cutoff³) sin(f_k x) / x` (Gasteiger et al., DimeNet, arXiv 2003.03123).
    SphericalBessel {
        /// Frequencies `f_k`.
        frequencies: Vec<f64>,
    },
    /// Bernstein polynomials `C(n−1, k) e^{−kγx} (1 − e^{−γx})^{n−1−k}` (Unke et al., SpookyNet, Nature Communications 2021).
    Bernstein {
        /// Decay rate `γ` in units of `1/x`.
        gamma: f64,
        /// Logarithms of the coefficients, `ln C(n−1, k)`.
        log_binomials: Vec<f64>,
    },
}

impl RadialFunctions {
    /// Bernstein polynomials of which `γ = softplus(pregamma)`; `n` is at least 1.
    pub fn bernstein(pregamma: f64, n: usize) -> Self {
        let gamma = pregamma.max(0.0) + (-pregamma.abs()).exp().ln_1p();
        Self::Bernstein { gamma, log_binomials: log_binomials(n - 1) }
    }

    /// Writes values and derivatives with respect to `x`.
    fn at(&self, x: f64, cutoff: f64, out: &mut [Slope]) {
        match self {
            Self::Gaussian(gaussians) => gaussians.all_at(x, out),
            Self::SphericalBessel { frequencies } => {
                let norm = (2.0 / cutoff.powi(3)).sqrt();
                for (out, f) in out.iter_mut().zip(frequencies) {
                    let (sin, cos) = (f * x).sin_cos();
                    let value = norm * sin / x;
                    *out = (value, norm * f * cos / x - value / x);
                }
            }
            Self::Bernstein { gamma, log_binomials } => {
                let n = log_binomials.len();
                let (e, complement) = ((-gamma * x).exp(), -(-gamma * x).exp_m1());
                for (k, (out, log_binomial)) in out.iter_mut().zip(log_binomials).enumerate() {
                    let (k, rest) = (k as f64, (n - 1 - k) as f64);
                    let value = (complement.ln() * rest - x * gamma * k + log_binomial).exp();
                    *out = (value, value * (e / complement * rest - k) * gamma);
                }
            }
        }
    }
}

/// Radial basis of a network: an envelope times functions of the scaled distance.
#[derive(Debug, Clone)]
pub struct RadialBasis {
    /// The functions.
    pub functions: RadialFunctions,
    /// The envelope.
    pub envelope: Envelope,
    /// Cutoff in Å.
    pub cutoff: f64,
}

impl RadialBasis {
    /// Writes values and derivatives at a distance in Å.
    pub fn at(&self, d: f64, out: &mut [Slope]) {
        let x = d / self.cutoff;
        self.functions.at(x, self.cutoff, out);
        let (u, du) = self.envelope.at(x);
        for out in out.iter_mut() {
            *out = (u * out.0, (du * out.0 + u * out.1) / self.cutoff);
        }
    }

    /// Value and derivative of the envelope at a distance in Å.
    pub fn envelope_at(&self, d: f64) -> Slope {
        let (u, du) = self.envelope.at(d / self.cutoff);
        (u, du / self.cutoff)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::radial::cosine_cutoff;

    #[test]
    fn derivatives_are_central_differences() {
        let frequencies: Vec<f64> = (1..=8).map(|k| PI * f64::from(k)).collect();
        for functions in [
            RadialFunctions::Gaussian(Gaussians::new(0.0, 1.0, 8)),
            RadialFunctions::SphericalBessel { frequencies },
            RadialFunctions::bernstein(PI, 8),
        ] {
            for envelope in [Envelope::Polynomial(5), Envelope::Exponential] {
                let basis = RadialBasis { functions: functions.clone(), envelope, cutoff: 5.0 };
                let at = |d: f64| {
                    let mut out = vec![(0.0, 0.0); 8];
                    basis.at(d, &mut out);
                    out.push(basis.envelope_at(d));
                    out
                };
                for d in [0.7, 2.5, 4.8] {
                    let h = 1e-5;
                    for ((above, here), below) in at(d + h).into_iter().zip(at(d)).zip(at(d - h)) {
                        let difference = (above.0 - below.0) / (2.0 * h);
                        assert!((difference - here.1).abs() < 1e-8, "{functions:?} {envelope:?} {d}");
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
