//! Settings of GemNet-OC.

use std::collections::BTreeMap;

use potstill_core::graph::Neighbors;
use potstill_core::graph::gemnet::GemNetRule;
use potstill_core::limits::{self, Bound};
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::layers::RadialBasis;
use crate::layers::radial_basis::{EnvelopeKind, RadialKind};
use crate::network::Forces;

/// Rows of the embedding: hydrogen to bismuth.
pub(super) const EMBEDDING_ROWS: usize = 83;

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

/// Where the constant factors of the network come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "expected \"fit\", \"unit\" or a table of factors by name")]
pub enum ScaleFactors {
    /// Fitted before the first step, so that every message has the variance of what it came from. The default.
    #[default]
    Fit,
    /// All 1, as in the paper's COLL runs.
    Unit,
    /// By the reference's names, for example `int_blocks.0.trip_interaction.scale_rbf`.
    #[serde(untagged)]
    Given(BTreeMap<String, f64>),
}

impl ScaleFactors {
    /// The factor of that name; 1 when it is not known.
    pub fn get(&self, name: &str) -> f64 {
        match self {
            Self::Given(factors) => factors.get(name).copied().unwrap_or(1.0),
            _ => 1.0,
        }
    }
}

/// Sizes of a [`GemNetOC`](super::GemNetOC); the default is the COLL setting of the distillation paper.
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

impl GemNetOCConfig {
    /// Checks that a network can be built.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.forces == Forces::Gradient {
            let message =
                "GemNetOC predicts direct forces only; give \"direct\", or use a PaiNN or SchNet with \"gradient\"";
            return Err(Error::setting("model.forces", message));
        }
        limits::check_sizes("model", &self.sizes())?;
        crate::network::validate_cutoff(self.cutoff)?;
        for (key, inner) in [
            ("quadruplet_cutoff", self.quadruplet_cutoff),
            ("atom_edge_cutoff", self.atom_edge_cutoff),
            ("atom_cutoff", self.atom_cutoff),
        ] {
            if let Some(complaint) = inner.and_then(limits::cutoff_complaint) {
                return Err(Error::setting(format!("model.{key}"), complaint));
            }
        }
        let largest = self.longest_of_others();
        if self.atom_cutoff().is_finite() && self.atom_cutoff() < largest {
            let message = format!("{} Å must reach as far as the other cutoffs, {largest} Å", self.atom_cutoff());
            return Err(Error::setting("model.atom_cutoff", message));
        }
        let widest = self.max_neighbors.max(self.max_quadruplet_neighbors).max(self.max_atom_edge_neighbors);
        if self.atom_to_atom && self.max_atom_neighbors < widest {
            let message = format!("{} must be at least that of the other graphs, {widest}", self.max_atom_neighbors);
            return Err(Error::setting("model.max_atom_neighbors", message));
        }
        let ScaleFactors::Given(factors) = &self.scale_factors else { return Ok(()) };
        if let Some((name, value)) = factors.iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::setting("model.scale_factors", format!("{name} = {value} is not a number")));
        }
        let missing: Vec<String> = self.scale_names().into_iter().filter(|name| !factors.contains_key(name)).collect();
        if let Some(first) = missing.first() {
            let message = format!("{first} and {} more are missing; give all, or \"fit\"", missing.len() - 1);
            return Err(Error::setting("model.scale_factors", message));
        }
        Ok(())
    }

    /// Every size with its name and bound.
    fn sizes(&self) -> Vec<(&'static str, usize, Bound)> {
        let any_depth = limits::DEPTH.at_least(0);
        vec![
            ("atom_channels", self.atom_channels, limits::WIDTH),
            ("edge_channels", self.edge_channels, limits::WIDTH),
            ("n_blocks", self.n_blocks, limits::DEPTH),
            ("n_radial", self.n_radial, limits::RADIAL),
            ("n_spherical", self.n_spherical, limits::ANGULAR),
            ("triplet_in_channels", self.triplet_in_channels, limits::WIDTH),
            ("triplet_out_channels", self.triplet_out_channels, limits::WIDTH),
            ("quadruplet_in_channels", self.quadruplet_in_channels, limits::WIDTH),
            ("quadruplet_out_channels", self.quadruplet_out_channels, limits::WIDTH),
            ("pair_in_channels", self.pair_in_channels, limits::WIDTH),
            ("pair_out_channels", self.pair_out_channels, limits::WIDTH),
            ("radial_channels", self.radial_channels, limits::WIDTH),
            ("circular_channels", self.circular_channels, limits::WIDTH),
            ("spherical_channels", self.spherical_channels, limits::WIDTH),
            ("n_before_skip", self.n_before_skip, any_depth),
            ("n_after_skip", self.n_after_skip, any_depth),
            ("n_concat", self.n_concat, any_depth),
            ("n_atom", self.n_atom, any_depth),
            ("n_output_after_atom", self.n_output_after_atom, any_depth),
            ("n_atom_embedding", self.n_atom_embedding, any_depth),
            ("n_global_output", self.n_global_output, any_depth),
            ("max_neighbors", self.max_neighbors, limits::NEIGHBORS),
            ("max_quadruplet_neighbors", self.max_quadruplet_neighbors, limits::NEIGHBORS),
            ("max_atom_edge_neighbors", self.max_atom_edge_neighbors, limits::NEIGHBORS),
            ("max_atom_neighbors", self.max_atom_neighbors, limits::NEIGHBORS),
            ("envelope_exponent", self.envelope_exponent as usize, limits::EXPONENT),
        ]
    }

    /// Names of all scale factors of this network, as the reference calls them.
    pub fn scale_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut add = |on: bool, prefix: &str, factors: &[&str]| {
            names.extend(factors.iter().filter(|_| on).map(|factor| format!("{prefix}.{factor}")));
        };
        if self.scale_basis {
            add(true, "radial_basis", &["scale_rbf"]);
            add(self.atom_to_edge || self.edge_to_atom, "radial_basis_aeaint", &["scale_rbf"]);
            add(self.atom_to_atom, "radial_basis_aint", &["scale_rbf"]);
            add(true, self.shared_basis(), &["radial_basis.scale_rbf"]);
            add(true, "cbf_basis_tint", &["scale_cbf"]);
            add(self.quadruplets, "cbf_basis_qint", &["radial_basis.scale_rbf", "scale_cbf"]);
            add(self.quadruplets, "sbf_basis_qint", &["scale_sbf"]);
            add(self.atom_to_edge, "cbf_basis_aeint", &["scale_cbf"]);
            add(self.edge_to_atom, "cbf_basis_eaint", &["radial_basis.scale_rbf", "scale_cbf"]);
        }
        for i in 0..self.n_blocks {
            let part = |name: &str| format!("int_blocks.{i}.{name}");
            add(true, &part("trip_interaction"), &["scale_rbf", "scale_cbf_sum"]);
            add(self.quadruplets, &part("quad_interaction"), &["scale_rbf", "scale_cbf", "scale_sbf_sum"]);
            add(self.atom_to_edge, &part("atom_edge_interaction"), &["scale_rbf", "scale_cbf_sum"]);
            add(self.edge_to_atom, &part("edge_atom_interaction"), &["scale_rbf", "scale_cbf_sum"]);
            add(self.atom_to_atom, &part("atom_interaction"), &["scale_rbf_sum"]);
            add(true, &part("atom_update"), &["scale_sum"]);
        }
        for i in 0..=self.n_blocks {
            add(true, &format!("out_blocks.{i}"), &["scale_sum"]);
            add(self.forces == Forces::Direct, &format!("out_blocks.{i}"), &["scale_rbf_F"]);
        }
        names
    }

    /// The reference registers one radial basis under several names and knows it by the first.
    pub(crate) fn shared_basis(&self) -> &'static str {
        match (self.quadruplets, self.atom_to_edge) {
            (true, _) => "sbf_basis_qint",
            (false, true) => "cbf_basis_aeint",
            (false, false) => "cbf_basis_tint",
        }
    }

    /// How graphs for this network are drawn; what belongs to an interaction that is off limits nothing.
    pub fn graph_rule(&self) -> GemNetRule {
        let inner = if self.quadruplets { self.max_quadruplet_neighbors } else { self.max_neighbors };
        let mixed = if self.mixes() { self.max_atom_edge_neighbors } else { self.max_neighbors };
        let widest = self.max_neighbors.max(inner).max(mixed);
        let outer = if self.atom_to_atom { self.max_atom_neighbors } else { widest };
        GemNetRule {
            cutoff: self.cutoff,
            cutoff_qint: self.quadruplet_cutoff(),
            cutoff_aeaint: self.atom_edge_cutoff(),
            cutoff_aint: self.atom_cutoff(),
            max_neighbors: Neighbors::Nearest(self.max_neighbors),
            max_neighbors_qint: Neighbors::Nearest(inner),
            max_neighbors_aeaint: Neighbors::Nearest(mixed),
            max_neighbors_aint: Neighbors::Nearest(outer),
            qint_tags: self.quadruplet_tags.clone(),
            quad: self.quadruplets,
            atom_edge: self.atom_to_edge,
            edge_atom: self.edge_to_atom,
            atom_atom: self.atom_to_atom,
        }
    }

    /// Whether atoms and edges exchange messages.
    fn mixes(&self) -> bool {
        self.atom_to_edge || self.edge_to_atom
    }

    /// Longest inner edge of a quadruplet in Å.
    pub fn quadruplet_cutoff(&self) -> f64 {
        self.quadruplet_cutoff.filter(|_| self.quadruplets).unwrap_or(self.cutoff)
    }

    /// Longest edge between atoms and edges in Å.
    pub fn atom_edge_cutoff(&self) -> f64 {
        self.atom_edge_cutoff.filter(|_| self.mixes()).unwrap_or(self.cutoff)
    }

    /// Longest edge between atoms in Å.
    pub fn atom_cutoff(&self) -> f64 {
        self.atom_cutoff.filter(|_| self.atom_to_atom).unwrap_or_else(|| self.longest_of_others())
    }

    fn longest_of_others(&self) -> f64 {
        self.cutoff.max(self.quadruplet_cutoff()).max(self.atom_edge_cutoff())
    }

    /// The radial basis beside an angle.
    pub fn angular_radial_basis(&self) -> RadialKind {
        self.angular_radial_basis.unwrap_or(self.radial_basis)
    }

    /// Number of weights; a real number, since sizes that a file claims may be absurd.
    pub fn n_parameters(&self) -> f64 {
        let f = |n: usize| n as f64;
        let [a, m, r, s] = [self.atom_channels, self.edge_channels, self.n_radial, self.n_spherical].map(f);
        let [br, bc, bs] = [self.radial_channels, self.circular_channels, self.spherical_channels].map(f);
        let [ti, to, qi, qo] = [
            self.triplet_in_channels,
            self.triplet_out_channels,
            self.quadruplet_in_channels,
            self.quadruplet_out_channels,
        ]
        .map(f);
        let [pi, po] = [self.pair_in_channels, self.pair_out_channels].map(f);
        let residuals = |n: usize, c: f64| 2.0 * c * c * f(n);
        let on = |flag: bool, n: f64| if flag { n } else { 0.0 };
        let direct = self.forces == Forces::Direct;

        let radial = |kind: RadialKind| RadialBasis::n_parameters(kind, self.n_radial) as f64;
        let angular = radial(self.angular_radial_basis());
        let plain = radial(self.radial_basis);
        let mut bases = plain + angular + 3.0 * r * br + r * s * bc;
        bases += on(self.quadruplets, angular + r * br + r * s * bc + r * s * s * bs);
        bases += on(self.atom_to_edge, r * br + r * s * bc);
        bases += on(self.edge_to_atom, angular + r * br + r * s * bc);
        bases += on(self.atom_to_edge || self.edge_to_atom, plain) + on(self.atom_to_atom, plain + r * br);

        let triplet = |i: f64, o: f64, ways: f64| i * i + br * i + i * ti + bc * ti * to + ways * to * o;
        let update = br * m + on(a != m, m * a) + residuals(self.n_atom, a);
        let mut block = m * m + triplet(m, m, 2.0);
        block += on(self.quadruplets, m * m + br * m + m * qi + bc * qi + bs * qi * qo + 2.0 * qo * m);
        block += on(self.atom_to_edge, triplet(a, m, 2.0)) + on(self.edge_to_atom, triplet(m, a, 1.0));
        block += on(self.atom_to_atom, a * pi + br * pi * po + po * a);
        block += residuals(self.n_before_skip + self.n_after_skip + self.n_concat, m);
        block += residuals(self.n_atom_embedding, a) + update + (2.0 * a + m) * m;

        let output = update + residuals(self.n_output_after_atom, a) + on(direct, br * m + residuals(self.n_atom, m));
        let outputs = f(self.n_blocks) + 1.0;
        let head = |c: f64| outputs * c * c + residuals(self.n_global_output, c) + c;
        f(EMBEDDING_ROWS) * a
            + (2.0 * a + r) * m
            + bases
            + f(self.n_blocks) * block
            + outputs * output
            + head(a)
            + on(direct, head(m))
    }
}
