//! Settings of SchNet (K. T. Schütt et al., NeurIPS 2017, arXiv 1706.08566).

use super::settings::{NetworkSettings, check_cutoff, check_neighbors};
use super::{Forces, Tap};
use crate::graph::{GraphRule, Neighbors, NetworkGraphRule};
use crate::{Result, limits};
use serde::{Deserialize, Serialize};

/// Settings of a SchNet; the default is the COLL setting of the distillation paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchNetConfig {
    /// Width of the atom features. Default 128.
    pub hidden_channels: usize,
    /// Width of the continuous filters. Default 128.
    pub n_filters: usize,
    /// Number of interaction blocks. Default 6.
    pub n_interactions: usize,
    /// Number of Gaussians that expand a distance. Default 50.
    pub n_gaussians: usize,
    /// Largest distance in Å at which two atoms see each other. Default 12.
    pub cutoff: f64,
    /// `"all"` within the cutoff (smooth, the default), or `{ nearest = 50 }`, the reference's rule.
    pub neighbors: Neighbors,
}

impl SchNetConfig {
    /// Rows of the embedding: atomic numbers 0 (padding) to 99.
    pub const EMBEDDING_ROWS: usize = 100;
}

impl Default for SchNetConfig {
    fn default() -> Self {
        Self {
            hidden_channels: 128,
            n_filters: 128,
            n_interactions: 6,
            n_gaussians: 50,
            cutoff: 12.0,
            neighbors: Neighbors::All,
        }
    }
}

impl NetworkSettings for SchNetConfig {
    fn name(&self) -> &'static str {
        "SchNet"
    }

    fn validate(&self) -> Result<()> {
        let sizes = [
            ("hidden_channels", self.hidden_channels, limits::WIDTH.at_least(2)),
            ("n_filters", self.n_filters, limits::WIDTH),
            ("n_interactions", self.n_interactions, limits::DEPTH),
            ("n_gaussians", self.n_gaussians, limits::RADIAL),
        ];
        limits::check_sizes("model", &sizes)?;
        check_neighbors(self.neighbors)?;
        check_cutoff(self.cutoff)
    }

    fn n_parameters(&self) -> f64 {
        let [h, f, g] = [self.hidden_channels, self.n_filters, self.n_gaussians].map(|n| n as f64);
        let half = (self.hidden_channels / 2) as f64;
        let interaction = (g + 1.0) * f + (f + 1.0) * f + h * f + (f + 1.0) * h + (h + 1.0) * h;
        Self::EMBEDDING_ROWS as f64 * h + self.n_interactions as f64 * interaction + (h + 1.0) * half + half + 1.0
    }

    fn saved_numbers_per_edge(&self) -> usize {
        6 * self.n_interactions * self.n_filters
    }

    fn graph_rule(&self) -> NetworkGraphRule {
        NetworkGraphRule::Pairs(GraphRule { cutoff: self.cutoff, neighbors: self.neighbors, symmetric: false })
    }

    fn forces(&self) -> Forces {
        Forces::Gradient
    }

    fn max_atomic_number(&self) -> u8 {
        99
    }

    fn taps(&self) -> Vec<Tap> {
        (1..=self.n_interactions).map(Tap::Interaction).collect()
    }

    fn node_channels(&self) -> usize {
        self.hidden_channels
    }

    fn edge_channels(&self) -> Option<usize> {
        None
    }
}
