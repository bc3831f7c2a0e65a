//! Settings of GemNet-OC (J. Gasteiger et al., *GemNet-OC: Developing Graph Neural Networks for Large and Diverse Molecular
//! Simulation Datasets*, TMLR 2022, arXiv 2204.02782).

mod angular;
mod check;
mod count;
mod graph_rule;
mod scale_factors;

use serde::{Deserialize, Serialize};

pub use angular::{CircularKind, SphericalKind};
pub use scale_factors::ScaleFactors;

use super::settings::NetworkSettings;
use super::{EnvelopeKind, Forces, RadialKind, Tap};
use crate::Result;
use crate::graph::NetworkGraphRule;

/// Settings of a GemNet-OC; the default is the COLL setting of the distillation paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GemNetOCConfig {
    /// Width of atom features. Default 128.
    pub atom_channels: usize,
    /// Width of edge features. Default 256.
    pub edge_channels: usize,
    /// Number of interaction blocks. Default 4.
    pub n_blocks: usize,
    /// Number of functions that expand a distance. Default 128.
    pub n_radial: usize,
    /// Number of functions that expand an angle. Default 7.
    pub n_spherical: usize,
    /// Width of edges on their way into a triplet. Default 64.
    pub triplet_in_channels: usize,
    /// Width of what triplets give. Default 64.
    pub triplet_out_channels: usize,
    /// Width of edges on their way into a quadruplet. Default 32.
    pub quadruplet_in_channels: usize,
    /// Width of what quadruplets give. Default 32.
    pub quadruplet_out_channels: usize,
    /// Width of atoms on their way into a pair. Default 64.
    pub pair_in_channels: usize,
    /// Width of what pairs give. Default 64.
    pub pair_out_channels: usize,
    /// Width of the shared projections of radial bases. Default 16.
    pub radial_channels: usize,
    /// Width of the shared projections of circular bases. Default 16.
    pub circular_channels: usize,
    /// Width of the shared projection of the spherical basis. Default 32.
    pub spherical_channels: usize,
    /// Residuals on edges before the skip connection. Default 2.
    pub n_before_skip: usize,
    /// Residuals on edges after the skip connection. Default 2.
    pub n_after_skip: usize,
    /// Residuals on edges after the atoms' news. Default 1.
    pub n_concat: usize,
    /// Residuals on atoms in each atom update and output. Default 3.
    pub n_atom: usize,
    /// Residuals on atoms in each output after the skip connection. Default 3.
    pub n_output_after_atom: usize,
    /// Residuals on atoms in each block. Default 2.
    pub n_atom_embedding: usize,
    /// Residuals before the heads. Default 2.
    pub n_global_output: usize,
    /// Longest edge of the main graph in Å. Default 12.
    pub cutoff: f64,
    /// Longest inner edge of a quadruplet in Å. Default: `cutoff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quadruplet_cutoff: Option<f64>,
    /// Longest edge between atoms and edges in Å. Default: `cutoff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atom_edge_cutoff: Option<f64>,
    /// Longest edge between atoms in Å. Default: the largest of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atom_cutoff: Option<f64>,
    /// Nearest neighbours in the main graph. Default 30.
    pub max_neighbors: usize,
    /// Nearest neighbours in the graph of inner edges of quadruplets. Default 8.
    pub max_quadruplet_neighbors: usize,
    /// Nearest neighbours between atoms and edges. Default 20.
    pub max_atom_edge_neighbors: usize,
    /// Nearest neighbours between atoms. Default 1000.
    pub max_atom_neighbors: usize,
    /// Whether quadruplets (dihedral angles) send messages. Default true.
    pub quadruplets: bool,
    /// Whether atoms send messages to edges. Default true.
    pub atom_to_edge: bool,
    /// Whether edges send messages to atoms. Default true.
    pub edge_to_atom: bool,
    /// Whether atoms send messages to atoms. Default true.
    pub atom_to_atom: bool,
    /// Tags of atoms at an inner edge of a quadruplet: one of its two must have one of them. Systems without tags count as
    /// tagged. Default 1 and 2, surface and adsorbate of OC20.
    pub quadruplet_tags: Vec<i32>,
    /// `"gaussian"` (default), `"spherical_bessel"` or `"bernstein"`.
    pub radial_basis: RadialKind,
    /// The radial basis beside an angle. Default: `radial_basis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub angular_radial_basis: Option<RadialKind>,
    /// `"polynomial"` (default) or `"exponential"`.
    pub envelope: EnvelopeKind,
    /// Exponent of the polynomial envelope. Default 5.
    pub envelope_exponent: u32,
    /// `"spherical_harmonics"` (default) or `"gaussian"`.
    pub circular_basis: CircularKind,
    /// `"legendre_outer"` (default), `"spherical_harmonics"` or `"gaussian_outer"`.
    pub spherical_basis: SphericalKind,
    /// Whether bases have scale factors too. Default false.
    pub scale_basis: bool,
    /// Whether the energy is the sum of atomic energies (default) or their mean.
    pub extensive: bool,
    /// `"direct"` (default): along the edges. Gradients of the energy are not offered.
    pub forces: Forces,
    /// Whether an edge and its reverse carry the same force, so that forces of a system add up to zero. Default false.
    pub coupled_forces: bool,
    /// Constant factors of messages: `"fit"` (default), `"unit"`, or a table of all of them by name, as `potstill
    /// fit-scales` writes it.
    pub scale_factors: ScaleFactors,
}

impl GemNetOCConfig {
    /// Rows of the embedding: hydrogen to bismuth.
    pub const EMBEDDING_ROWS: usize = 83;

    /// The radial basis beside an angle.
    pub fn angular_radial_basis(&self) -> RadialKind {
        self.angular_radial_basis.unwrap_or(self.radial_basis)
    }
}

impl Default for GemNetOCConfig {
    fn default() -> Self {
        Self {
            atom_channels: 128,
            edge_channels: 256,
            n_blocks: 4,
            n_radial: 128,
            n_spherical: 7,
            triplet_in_channels: 64,
            triplet_out_channels: 64,
            quadruplet_in_channels: 32,
            quadruplet_out_channels: 32,
            pair_in_channels: 64,
            pair_out_channels: 64,
            radial_channels: 16,
            circular_channels: 16,
            spherical_channels: 32,
            n_before_skip: 2,
            n_after_skip: 2,
            n_concat: 1,
            n_atom: 3,
            n_output_after_atom: 3,
            n_atom_embedding: 2,
            n_global_output: 2,
            cutoff: 12.0,
            quadruplet_cutoff: None,
            atom_edge_cutoff: None,
            atom_cutoff: None,
            max_neighbors: 30,
            max_quadruplet_neighbors: 8,
            max_atom_edge_neighbors: 20,
            max_atom_neighbors: 1000,
            quadruplets: true,
            atom_to_edge: true,
            edge_to_atom: true,
            atom_to_atom: true,
            quadruplet_tags: vec![1, 2],
            radial_basis: RadialKind::Gaussian,
            angular_radial_basis: None,
            envelope: EnvelopeKind::Polynomial,
            envelope_exponent: 5,
            circular_basis: CircularKind::SphericalHarmonics,
            spherical_basis: SphericalKind::LegendreOuter,
            scale_basis: false,
            extensive: true,
            forces: Forces::Direct,
            coupled_forces: false,
            scale_factors: ScaleFactors::Fit,
        }
    }
}

impl NetworkSettings for GemNetOCConfig {
    fn name(&self) -> &'static str {
        "GemNetOC"
    }

    fn validate(&self) -> Result<()> {
        self.check()
    }

    fn n_parameters(&self) -> f64 {
        self.count_parameters()
    }

    fn saved_numbers_per_edge(&self) -> usize {
        100 * (self.n_blocks + 1) * self.edge_channels
    }

    fn graph_rule(&self) -> NetworkGraphRule {
        NetworkGraphRule::GemNet(self.gemnet_rule())
    }

    fn forces(&self) -> Forces {
        self.forces
    }

    fn max_atomic_number(&self) -> u8 {
        83
    }

    /// Outputs `X0 …`, blocks `B1 …`, and the input of the heads.
    fn taps(&self) -> Vec<Tap> {
        let mut taps = vec![Tap::Output(0)];
        for i in 1..=self.n_blocks {
            taps.extend([Tap::Block(i), Tap::Output(i)]);
        }
        taps.push(Tap::Head);
        taps
    }

    fn node_channels(&self) -> usize {
        self.atom_channels
    }

    fn edge_channels(&self) -> Option<usize> {
        Some(self.edge_channels)
    }
}
