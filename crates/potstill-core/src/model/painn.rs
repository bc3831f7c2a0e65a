//! Settings of PaiNN (K. T. Schütt, O. T. Unke, M. Gastegger, ICML 2021, arXiv 2102.03150).

use super::settings::{NetworkSettings, check_cutoff, check_neighbors};
use super::{EnvelopeKind, Forces, RadialKind, Tap};
use crate::graph::{GraphRule, Neighbors, NetworkGraphRule};
use crate::{Error, Result, limits};
use serde::{Deserialize, Serialize};

/// Settings of a PaiNN; the default is the small COLL setting of the distillation paper, with gradient forces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaiNNConfig {
    /// Width of scalar and vector features, even. Default 128.
    pub hidden_channels: usize,
    /// Number of message and update layers. Default 4.
    pub n_layers: usize,
    /// Number of functions that expand a distance. Default 128.
    pub n_radial: usize,
    /// `"gaussian"` (default), `"spherical_bessel"` or `"bernstein"`.
    pub radial_basis: RadialKind,
    /// Largest distance in Å at which two atoms see each other. Default 12.
    pub cutoff: f64,
    /// `"polynomial"` (default) or `"exponential"`.
    pub envelope: EnvelopeKind,
    /// Exponent of the polynomial envelope. Default 5.
    pub envelope_exponent: u32,
    /// Whether the envelope multiplies the whole filter, so that energy and forces are continuous where a pair crosses the
    /// cutoff. Default true; false is the reference's rule, whose filters keep their bias there.
    pub smooth_cutoff: bool,
    /// `"all"` within the cutoff (the default), or `{ nearest = 50 }`, the reference's rule, which depends on the order
    /// of atoms and jumps where the set of neighbours changes.
    pub neighbors: Neighbors,
    /// `"gradient"` (energy is conserved, the default) or `"direct"` (a head of their own, as in the paper).
    pub forces: Forces,
    /// Constant factor on the scalars after each update, one per layer. Default: none, all 1.
    pub update_scales: Vec<f64>,
}

impl PaiNNConfig {
    /// Rows of the embedding: hydrogen to bismuth.
    pub const EMBEDDING_ROWS: usize = 83;
}

impl Default for PaiNNConfig {
    fn default() -> Self {
        Self {
            hidden_channels: 128,
            n_layers: 4,
            n_radial: 128,
            radial_basis: RadialKind::Gaussian,
            cutoff: 12.0,
            envelope: EnvelopeKind::Polynomial,
            envelope_exponent: 5,
            smooth_cutoff: true,
            neighbors: Neighbors::All,
            forces: Forces::Gradient,
            update_scales: Vec::new(),
        }
    }
}

impl NetworkSettings for PaiNNConfig {
    fn name(&self) -> &'static str {
        "PaiNN"
    }

    fn validate(&self) -> Result<()> {
        let h = self.hidden_channels;
        if h < 2 || h % 2 == 1 {
            return Err(Error::setting("model.hidden_channels", format!("{h} must be even and at least 2")));
        }
        let sizes = [
            ("hidden_channels", h, limits::WIDTH),
            ("n_layers", self.n_layers, limits::DEPTH),
            ("n_radial", self.n_radial, limits::RADIAL),
            ("envelope_exponent", self.envelope_exponent as usize, limits::EXPONENT),
        ];
        limits::check_sizes("model", &sizes)?;
        if !self.update_scales.is_empty() && self.update_scales.len() != self.n_layers {
            let found = self.update_scales.len();
            let message = format!("expected {} factors, one per layer, or none; found {found}", self.n_layers);
            return Err(Error::setting("model.update_scales", message));
        }
        if let Some(scale) = self.update_scales.iter().find(|scale| !scale.is_finite()) {
            return Err(Error::setting("model.update_scales", format!("{scale} is not a finite number")));
        }
        check_neighbors(self.neighbors)?;
        check_cutoff(self.cutoff)
    }

    fn n_parameters(&self) -> f64 {
        let [h, r] = [self.hidden_channels, self.n_radial].map(|n| n as f64);
        let half = 0.5 * h;
        let message = 2.0 * h + (h + 1.0) * h + (h + 1.0) * 3.0 * h + (r + 1.0) * 3.0 * h;
        let update = 2.0 * h * h + (2.0 * h + 1.0) * h + (h + 1.0) * 3.0 * h;
        let gated = |i: f64, o: f64| i * i + i * o + (2.0 * i + 1.0) * i + (i + 1.0) * 2.0 * o;
        let direct = if self.forces == Forces::Direct { gated(h, half) + gated(half, 1.0) } else { 0.0 };
        let energy = (h + 1.0) * half + half + 1.0;
        let basis = self.radial_basis.n_parameters(self.n_radial) as f64;
        basis + Self::EMBEDDING_ROWS as f64 * h + self.n_layers as f64 * (message + update) + energy + direct
    }

    fn saved_numbers_per_edge(&self) -> usize {
        // Forces from the gradient save about as much again.
        let passes = 1 + usize::from(self.forces == Forces::Gradient);
        4 * self.n_layers * self.hidden_channels * passes
    }

    fn graph_rule(&self) -> NetworkGraphRule {
        NetworkGraphRule::Pairs(GraphRule { cutoff: self.cutoff, neighbors: self.neighbors, symmetric: true })
    }

    fn forces(&self) -> Forces {
        self.forces
    }

    fn max_atomic_number(&self) -> u8 {
        83
    }

    fn taps(&self) -> Vec<Tap> {
        (1..=self.n_layers).flat_map(|i| [Tap::Message(i), Tap::Update(i)]).collect()
    }

    fn node_channels(&self) -> usize {
        self.hidden_channels
    }

    fn edge_channels(&self) -> Option<usize> {
        Some(self.hidden_channels)
    }
}
