//! Functions that take a radial basis smoothly to zero at the cutoff.

use std::f64::consts::PI;

use potstill_core::model::EnvelopeKind;

use super::Slope;

/// Envelope: a function of the scaled distance `x = d / cutoff` that is 1 at 0 and 0 from 1 on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Envelope {
    /// Polynomial `1 + a xᵖ + b xᵖ⁺¹ + c xᵖ⁺²`, zero with two derivatives at 1 (Gasteiger et al., DimeNet, arXiv 2003.03123, eq. 8).
    /// `p` is at least 1.
    Polynomial(u32),
    /// Exponential `exp(−x² / (1 − x²))`, zero with all derivatives at 1.
    Exponential,
}

impl Envelope {
    /// Envelope of a kind; `exponent` is that of the polynomial.
    pub fn of(kind: EnvelopeKind, exponent: u32) -> Self {
        match kind {
            EnvelopeKind::Polynomial => Self::Polynomial(exponent),
            EnvelopeKind::Exponential => Self::Exponential,
        }
    }

    /// Coefficients `a`, `b`, `c` of the polynomial of exponent `p`.
    pub fn coefficients(p: u32) -> (f64, f64, f64) {
        let p = f64::from(p);
        (-(p + 1.0) * (p + 2.0) / 2.0, p * (p + 2.0), -p * (p + 1.0) / 2.0)
    }

    /// Value and derivative at `x`.
    pub fn at(self, x: f64) -> Slope {
        if x >= 1.0 {
            return (0.0, 0.0);
        }
        match self {
            Self::Polynomial(p) => {
                let power = x.powi(p as i32 - 1);
                let (a, b, c) = Self::coefficients(p);
                let p = f64::from(p);
                let value = 1.0 + ((c * x + b) * x + a) * power * x;
                (value, ((c * (p + 2.0) * x + b * (p + 1.0)) * x + a * p) * power)
            }
            Self::Exponential => {
                let rest = 1.0 - x * x;
                let value = (-x * x / rest).exp();
                (value, -2.0 * x * value / (rest * rest))
            }
        }
    }
}

/// Cutoff function `½ (cos(π d / cutoff) + 1)` of SchNet, and its derivative; not clamped, since edges end at the cutoff.
pub fn cosine_cutoff(d: f64, cutoff: f64) -> Slope {
    let k = PI / cutoff;
    (0.5 * ((k * d).cos() + 1.0), -0.5 * k * (k * d).sin())
}
