//! Kinds of angular bases of GemNet-OC.

use serde::{Deserialize, Serialize};

/// Functions of one angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CircularKind {
    /// `Y_l0` of the cosine, `l < n_spherical`.
    #[default]
    SphericalHarmonics,
    /// Gaussians of the cosine on [−1, 1].
    Gaussian,
}

/// Functions of two angles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SphericalKind {
    /// `Y_l0(cos φ) Y_m0(cos θ)` for all `l, m < n_spherical`. The paper's choice.
    #[default]
    LegendreOuter,
    /// Real spherical harmonics `Y_lm(φ, θ)`, `l < n_spherical`.
    SphericalHarmonics,
    /// Gaussians of both cosines.
    GaussianOuter,
}
