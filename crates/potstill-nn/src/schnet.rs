//! SchNet: continuous-filter convolutions over interatomic distances.
//!
//! K. T. Schütt, P.-J. Kindermans, H. E. Sauceda, S. Chmiela, A. Tkatchenko, K.-R. Müller, *SchNet: A
//! continuous-filter convolutional neural network for modeling quantum interactions*, NeurIPS 2017, arXiv 1706.08566.
//!
//! | here | in the paper | shape |
//! |---|---|---|
//! | `node` | x, atom-wise features | `[n_atoms, hidden_channels]` |
//! | `filters` | W, continuous filters | `[n_edges, n_filters]` |
//! | `gaussians` | e_k(r_i − r_j) | `[n_edges, n_gaussians]` |
//!
//! Departures: layer order and sizes follow PyTorch Geometric (filters end in a cosine cutoff), as the published
//! distillation checkpoints do. Forces are `−∂E/∂r` by the explicit adjoint at the end of this file.

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::graph::Neighbors;
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::features::{Features, Tap};
use crate::init::{Init, Initializer};
use crate::layers::activation::{shifted_softplus, shifted_softplus_derivative};
use crate::layers::radial::{GaussianBasis, cosine_cutoff, cosine_cutoff_derivative};
use crate::layers::scatter::{gather_rows, sum_rows};
use crate::layers::{Dense, Embedding};
use crate::network::{Forces, Output};

/// Rows of the embedding: atomic numbers 0 (padding) to 99.
const EMBEDDING_ROWS: usize = 100;

/// Sizes of a [`SchNet`]; the default is the COLL setting of the distillation paper.
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

impl SchNetConfig {
    /// Checks that a network can be built.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("model.hidden_channels", self.hidden_channels / 2),
            ("model.n_filters", self.n_filters),
            ("model.n_interactions", self.n_interactions),
            ("model.n_gaussians", self.n_gaussians / 2),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(Error::setting(key, "too small; hidden_channels and n_gaussians need 2, the others 1"));
            }
        }
        crate::network::validate_cutoff(self.cutoff)
    }

    /// Number of weights; a real number, since sizes that a file claims may be absurd.
    pub fn n_parameters(&self) -> f64 {
        let [h, f, g] = [self.hidden_channels, self.n_filters, self.n_gaussians].map(|n| n as f64);
        let half = (self.hidden_channels / 2) as f64;
        let interaction = (g + 1.0) * f + (f + 1.0) * f + h * f + (f + 1.0) * h + (h + 1.0) * h;
        EMBEDDING_ROWS as f64 * h + self.n_interactions as f64 * interaction + (h + 1.0) * half + half + 1.0
    }

    /// A network with fresh weights: Xavier-uniform matrices, zero biases, standard normal embeddings.
    pub fn init(&self, rng: &mut Initializer) -> SchNet {
        let (h, f) = (self.hidden_channels, self.n_filters);
        let xavier = Init::XavierUniform;
        let interactions = (0..self.n_interactions)
            .map(|_| Interaction {
                filter_in: Dense::new(self.n_gaussians, f, true, xavier, rng),
                filter_out: Dense::new(f, f, true, xavier, rng),
                source: Dense::new(h, f, false, xavier, rng),
                message: Dense::new(f, h, true, xavier, rng),
                output: Dense::new(h, h, true, xavier, rng),
            })
            .collect();
        SchNet {
            embedding: Embedding::new(EMBEDDING_ROWS, h, Init::Normal, rng),
            interactions,
            energy_in: Dense::new(h, h / 2, true, xavier, rng),
            energy_out: Dense::new(h / 2, 1, true, xavier, rng),
            cutoff: self.cutoff,
            basis: GaussianBasis::new(0.0, self.cutoff, self.n_gaussians),
        }
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct SchNet {
    /// Row `Z` starts the features of element `Z`. Shape: `[100, hidden_channels]`.
    pub embedding: Embedding,
    /// The interaction blocks, first to last.
    pub interactions: Vec<Interaction>,
    /// `hidden_channels → hidden_channels/2` of the energy head.
    pub energy_in: Dense,
    /// `hidden_channels/2 → 1` of the energy head.
    pub energy_out: Dense,
    #[module(skip)]
    cutoff: f64,
    #[module(skip)]
    basis: GaussianBasis,
}

/// One interaction block.
#[derive(Module, Debug)]
pub struct Interaction {
    /// First layer of the filter network, `n_gaussians → n_filters`.
    pub filter_in: Dense,
    /// Second layer of the filter network.
    pub filter_out: Dense,
    /// Atom features to filter space, no bias.
    pub source: Dense,
    /// Summed messages back to `hidden_channels`.
    pub message: Dense,
    /// Last map of the block.
    pub output: Dense,
}

/// Distances expanded once for all blocks.
struct Expansion {
    gaussians: Tensor<2>,
    cutoff: Tensor<2>,
}

/// What the adjoint of one block needs of its forward pass.
struct Saved {
    filter_hidden: Tensor<2>,
    raw_filters: Tensor<2>,
    source_rows: Tensor<2>,
    message: Tensor<2>,
}

impl SchNet {
    /// Taps of a network with that many blocks, first to last.
    pub fn taps(n_interactions: usize) -> Vec<Tap> {
        (1..=n_interactions).map(Tap::Interaction).collect()
    }

    /// Energies, forces when asked, and the features at `taps`, in normalised units.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        let expansion = self.expand(batch);
        let mut node = self.embedding.forward(batch.atomic_numbers.clone());
        let mut features = Vec::new();
        let mut saved = Vec::new();
        for (i, block) in self.interactions.iter().enumerate() {
            let (update, intermediate) = block.forward(batch, &expansion, &node);
            node = node + update;
            saved.push(intermediate);
            let tap = Tap::Interaction(i + 1);
            if taps.contains(&tap) {
                features.push(Features { tap, node: node.clone(), vector: None, edge: None });
            }
        }
        let hidden = self.energy_in.forward(node);
        let atomic_energies = self.energy_out.forward(shifted_softplus(hidden.clone()));
        let mut output = Output::new(batch, atomic_energies, features);
        if forces == Forces::Gradient {
            output.set_edge_gradient(batch, self.edge_gradient(batch, &expansion, hidden, saved));
        }
        output
    }

    fn expand(&self, batch: &Batch) -> Expansion {
        Expansion {
            gaussians: self.basis.forward(batch.distance.clone()),
            cutoff: cosine_cutoff(batch.distance.clone(), self.cutoff),
        }
    }

    /// `∂E/∂displacement` of each edge, by running the blocks backwards. Shape: `[n_edges, 3]`.
    fn edge_gradient(&self, batch: &Batch, expansion: &Expansion, hidden: Tensor<2>, saved: Vec<Saved>) -> Tensor<2> {
        let ones = batch.zeros([batch.n_atoms, 1]).add_scalar(1.0);
        let hidden_bar = self.energy_out.adjoint(ones) * shifted_softplus_derivative(hidden);
        let mut node_bar = self.energy_in.adjoint(hidden_bar);
        if batch.n_edges == 0 {
            return batch.zeros([0, 3]);
        }
        let basis_slope = self.basis.derivative(batch.distance.clone(), expansion.gaussians.clone());
        let cutoff_slope = cosine_cutoff_derivative(batch.distance.clone(), self.cutoff);
        let mut distance_bar = batch.zeros([batch.n_edges, 1]);
        for (i, (block, saved)) in self.interactions.iter().zip(saved).enumerate().rev() {
            let adjoint = block.adjoint(batch, expansion, saved, node_bar.clone());
            let along_basis = (adjoint.gaussians * basis_slope.clone()).sum_dim(1);
            distance_bar = distance_bar + along_basis + adjoint.cutoff * cutoff_slope.clone();
            // The embedding does not depend on positions.
            if i > 0 {
                let source_bar = sum_rows(adjoint.source_rows, batch.source.clone(), batch.n_atoms);
                node_bar = node_bar + block.source.adjoint(source_bar);
            }
        }
        batch.direction.clone() * distance_bar
    }
}

/// Gradients that a block hands back.
struct BlockAdjoint {
    gaussians: Tensor<2>,
    cutoff: Tensor<2>,
    source_rows: Tensor<2>,
}

impl Interaction {
    /// The block's change of `node`, and what its adjoint needs.
    fn forward(&self, batch: &Batch, expansion: &Expansion, node: &Tensor<2>) -> (Tensor<2>, Saved) {
        let channels = self.source.weight.val().dims()[0];
        if batch.n_edges == 0 {
            let empty = batch.zeros([0, channels]);
            let message = self.message.forward(batch.zeros([batch.n_atoms, channels]));
            let update = self.output.forward(shifted_softplus(message.clone()));
            let saved = Saved { filter_hidden: empty.clone(), raw_filters: empty.clone(), source_rows: empty, message };
            return (update, saved);
        }
        let filter_hidden = self.filter_in.forward(expansion.gaussians.clone());
        let raw_filters = self.filter_out.forward(shifted_softplus(filter_hidden.clone()));
        let filters = raw_filters.clone() * expansion.cutoff.clone();
        let source_rows = gather_rows(self.source.forward(node.clone()), batch.source.clone());
        let summed = sum_rows(source_rows.clone() * filters, batch.target.clone(), batch.n_atoms);
        let message = self.message.forward(summed);
        let update = self.output.forward(shifted_softplus(message.clone()));
        (update, Saved { filter_hidden, raw_filters, source_rows, message })
    }

    /// Gradients with respect to everything that depends on distances, given that of the block's output.
    fn adjoint(&self, batch: &Batch, expansion: &Expansion, saved: Saved, output_bar: Tensor<2>) -> BlockAdjoint {
        let message_bar = self.output.adjoint(output_bar) * shifted_softplus_derivative(saved.message);
        let summed_bar = self.message.adjoint(message_bar);
        let edge_bar = gather_rows(summed_bar, batch.target.clone());
        let filters_bar = edge_bar.clone() * saved.source_rows;
        let source_rows = edge_bar * saved.raw_filters.clone() * expansion.cutoff.clone();
        let cutoff = (filters_bar.clone() * saved.raw_filters).sum_dim(1);
        let raw_bar = filters_bar * expansion.cutoff.clone();
        let hidden_bar = self.filter_out.adjoint(raw_bar) * shifted_softplus_derivative(saved.filter_hidden);
        BlockAdjoint { gaussians: self.filter_in.adjoint(hidden_bar), cutoff, source_rows }
    }
}
