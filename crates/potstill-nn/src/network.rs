//! One type for every network, and what a forward pass returns.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use potstill_core::graph::{GraphRule, Neighbors};
use potstill_core::{Error, Result, limits};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::features::{Features, Tap};
use crate::gemnet_oc::{GemNetOC, GemNetOCConfig};
use crate::graph::NetworkGraphRule;
use crate::init::Initializer;
use crate::layers::scatter::sum_rows;
use crate::painn::{PaiNN, PaiNNConfig};
use crate::schnet::{SchNet, SchNetConfig};

/// Where forces come from in one forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forces {
    /// `−∂E/∂positions`: energy is conserved. The default.
    #[default]
    Gradient,
    /// A head of their own: cheaper, but dynamics with them do not conserve energy.
    Direct,
    /// No forces.
    #[serde(skip)]
    None,
}

/// Result of a forward pass, in the network's normalised units.
#[derive(Debug, Clone)]
pub struct Output {
    /// Energy of each system. Shape: `[n_systems, 1]`.
    pub energy: Tensor<2>,
    /// Energy of each atom. Shape: `[n_atoms, 1]`.
    pub atomic_energies: Tensor<2>,
    /// Force on each atom. Shape: `[n_atoms, 3]`.
    pub forces: Option<Tensor<2>>,
    /// `−∂E/∂strain`, row-major. Shape: `[n_systems, 9]`.
    pub virial: Option<Tensor<2>>,
    /// Features at the taps that were asked for, in the network's order.
    pub features: Vec<Features>,
}

impl Output {
    /// Sums atomic energies; no forces yet.
    pub(crate) fn new(batch: &Batch, atomic_energies: Tensor<2>, features: Vec<Features>) -> Self {
        let energy = batch.sum_over_systems(atomic_energies.clone());
        Self { energy, atomic_energies, forces: None, virial: None, features }
    }

    /// Forces and virial from `∂E/∂displacement` of each edge, where displacement is `r_source − r_target + shift·cell`.
    ///
    /// Under a strain ε every displacement becomes `(1 + ε) d`, so `∂E/∂ε = Σ_e g_e ⊗ d_e`.
    pub(crate) fn set_edge_gradient(&mut self, batch: &Batch, gradient: Tensor<2>) {
        let pulled = sum_rows(gradient.clone(), batch.target.clone(), batch.n_atoms);
        let pushed = sum_rows(gradient.clone(), batch.source.clone(), batch.n_atoms);
        self.forces = Some(pulled - pushed);
        let outer =
            gradient.neg().reshape([batch.n_edges, 3, 1]) * batch.displacement.clone().reshape([batch.n_edges, 1, 3]);
        let outer = outer.reshape([batch.n_edges, 9]);
        self.virial = Some(sum_rows(outer, batch.edge_system.clone(), batch.n_systems));
    }
}

/// Settings of a network, tagged by `architecture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "a handful exist at a time")]
pub enum Architecture {
    /// See [`SchNetConfig`].
    SchNet(SchNetConfig),
    /// See [`PaiNNConfig`].
    PaiNN(PaiNNConfig),
    /// See [`GemNetOCConfig`].
    #[serde(rename = "gemnet_oc")]
    GemNetOC(GemNetOCConfig),
}

impl Architecture {
    /// The name as its authors write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SchNet(_) => "SchNet",
            Self::PaiNN(_) => "PaiNN",
            Self::GemNetOC(_) => "GemNetOC",
        }
    }

    /// Checks that a network can be built, before anything of its size is allocated: for configurations, model files and caches.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::SchNet(config) => config.validate()?,
            Self::PaiNN(config) => config.validate()?,
            Self::GemNetOC(config) => config.validate()?,
        }
        limits::check_weights(self.n_parameters())
    }

    /// Checks that so many numbers for each weight fit into memory.
    ///
    /// # Errors
    /// More than the machine has left, with both numbers of bytes.
    pub fn check_memory(&self, what: &str, bytes_per_weight: usize) -> Result<()> {
        limits::check_memory("model", what, self.n_parameters() * bytes_per_weight as f64)
    }

    /// Number of weights; a real number, since sizes that a file claims may be absurd.
    pub fn n_parameters(&self) -> f64 {
        match self {
            Self::SchNet(config) => config.n_parameters(),
            Self::PaiNN(config) => config.n_parameters(),
            Self::GemNetOC(config) => config.n_parameters(),
        }
    }

    /// About the bytes that a training step in f32 keeps for each edge between its two passes, rather more than less; measured on
    /// batches of small molecules, and used to pass large batches through the network in parts.
    pub fn training_bytes_per_edge(&self) -> usize {
        let floats = match self {
            Self::SchNet(config) => 6 * config.n_interactions * config.n_filters,
            Self::PaiNN(config) => 4 * config.n_layers * config.hidden_channels * self.passes(),
            Self::GemNetOC(config) => 100 * (config.n_blocks + 1) * config.edge_channels,
        };
        4 * floats.max(1)
    }

    /// Forces from the gradient keep about as much again.
    fn passes(&self) -> usize {
        1 + usize::from(self.forces() == Forces::Gradient)
    }

    /// How graphs for this network are drawn.
    pub fn graph_rule(&self) -> NetworkGraphRule {
        let (cutoff, neighbors, symmetric) = match self {
            Self::SchNet(config) => (config.cutoff, config.neighbors, false),
            Self::PaiNN(config) => (config.cutoff, config.neighbors, true),
            Self::GemNetOC(config) => return NetworkGraphRule::GemNet(config.graph_rule()),
        };
        NetworkGraphRule::Pairs(GraphRule { cutoff, neighbors, symmetric })
    }

    /// Where this network's forces come from.
    pub fn forces(&self) -> Forces {
        match self {
            Self::SchNet(_) => Forces::Gradient,
            Self::PaiNN(config) => config.forces,
            Self::GemNetOC(config) => config.forces,
        }
    }

    /// Largest atomic number that the embedding holds.
    pub fn max_atomic_number(&self) -> u8 {
        match self {
            Self::SchNet(_) => 99,
            Self::PaiNN(_) | Self::GemNetOC(_) => 83,
        }
    }

    /// Every place where features can be taken, first to last.
    pub fn taps(&self) -> Vec<Tap> {
        match self {
            Self::SchNet(config) => SchNet::taps(config.n_interactions),
            Self::PaiNN(config) => PaiNN::taps(config.n_layers),
            Self::GemNetOC(config) => config.taps(),
        }
    }

    /// Width of the scalar features at every tap.
    pub fn node_channels(&self) -> usize {
        match self {
            Self::SchNet(config) => config.hidden_channels,
            Self::PaiNN(config) => config.hidden_channels,
            Self::GemNetOC(config) => config.atom_channels,
        }
    }

    /// Width of edge and vector features at every tap; none for SchNet.
    pub fn edge_channels(&self) -> Option<usize> {
        match self {
            Self::SchNet(_) => None,
            Self::PaiNN(config) => Some(config.hidden_channels),
            Self::GemNetOC(config) => Some(config.edge_channels),
        }
    }

    /// Whether the network has vector features.
    pub fn has_vectors(&self) -> bool {
        self.edge_channels().is_some()
    }

    /// Parameters whose gradients are divided by a number before anything else is done with them.
    pub fn gradient_divisors(&self) -> Vec<(&'static str, usize)> {
        match self {
            Self::GemNetOC(config) => config.gradient_divisors(),
            _ => Vec::new(),
        }
    }

    /// A network with fresh weights drawn from `seed`.
    pub fn init(&self, seed: u64, device: &Device, dtype: DType) -> Network {
        self.build(&mut Initializer::new(seed, device, dtype))
    }

    /// A network whose weights are all zero, to be filled from a file.
    pub fn blank(&self, device: &Device, dtype: DType) -> Network {
        self.build(&mut Initializer::blank(device, dtype))
    }

    fn build(&self, rng: &mut Initializer) -> Network {
        match self {
            Self::SchNet(config) => Network::SchNet(config.init(rng)),
            Self::PaiNN(config) => Network::PaiNN(config.init(rng)),
            Self::GemNetOC(config) => Network::GemNetOC(config.init(rng)),
        }
    }
}

/// A network of any architecture.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful exist at a time, and a module cannot be boxed")]
pub enum Network {
    /// See [`SchNet`].
    SchNet(SchNet),
    /// See [`PaiNN`].
    PaiNN(PaiNN),
    /// See [`GemNetOC`].
    GemNetOC(GemNetOC),
}

impl Network {
    /// Energies, forces when `forces` asks for them, and features at `taps`, in normalised units.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        match self {
            Self::SchNet(network) => network.forward(batch, forces, taps),
            Self::PaiNN(network) => network.forward(batch, forces, taps),
            Self::GemNetOC(network) => network.forward(batch, forces, taps),
        }
    }
}

pub(crate) fn validate_cutoff(cutoff: f64) -> Result<()> {
    limits::cutoff_complaint(cutoff).map_or(Ok(()), |complaint| Err(Error::setting("model.cutoff", complaint)))
}

/// `{ nearest = 0 }` would leave no edge at all.
pub(crate) fn validate_neighbors(neighbors: Neighbors) -> Result<()> {
    match neighbors {
        Neighbors::Nearest(0) => Err(Error::setting("model.neighbors", "nearest = 0 leaves no edges; give 1 or more")),
        Neighbors::Nearest(n) => limits::NEIGHBORS.check("model.neighbors.nearest", n),
        Neighbors::All => Ok(()),
    }
}
