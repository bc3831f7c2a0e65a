//! Kinds of radial bases and envelopes.

use serde::{Deserialize, Serialize};

/// Functions that expand a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RadialKind {
    /// Gaussians on a regular grid, not trained.
    #[default]
    Gaussian,
    /// `√(2/cutoff³) sin(f_k x) / x` with trainable frequencies that start at `kπ` (Gasteiger et al., DimeNet, 2020).
    SphericalBessel,
    /// `C(n−1, k) e^{−kγx} (1 − e^{−γx})^{n−1−k}` with one trainable width γ (Unke et al., SpookyNet, 2021).
    Bernstein,
}

impl RadialKind {
    /// Number of weights of a basis of `n` functions.
    pub fn n_parameters(self, n: usize) -> usize {
        match self {
            Self::Gaussian => 0,
            Self::SphericalBessel => n,
            Self::Bernstein => 1,
        }
    }
}

/// Shape of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvelopeKind {
    /// A polynomial, zero with two derivatives at the cutoff.
    #[default]
    Polynomial,
    /// `exp(−x² / (1 − x²))`.
    Exponential,
}
