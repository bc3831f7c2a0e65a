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
//! distillation checkpoints do. Forces are `−∂E/∂r` by explicit adjoints.

mod interaction;
mod plain;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::model::{Forces, SchNetConfig, Tap};
use potstill_kernels::radial::Gaussians;

pub use self::interaction::Interaction;
use self::interaction::{Expansion, Saved};
use self::plain::EdgeBasis;
use crate::batch::Batch;
use crate::features::Features;
use crate::init::{Init, Initializer};
use crate::layers::radial::{cosine_cutoff, cosine_cutoff_derivative, gaussian_slopes, gaussian_values};
use crate::layers::{Dense, Embedding};
use crate::ops::{FilteredEdges, LengthBasis, on_host};
use crate::output::Output;
use crate::tensors::{float_tensor, shifted_softplus, shifted_softplus_derivative};

/// SchNet with its weights.
#[derive(Module, Debug)]
pub struct SchNet {
    /// Row `Z` starts the features of element `Z`. Shape: `[100, hidden_channels]`.
    pub embedding: Embedding,
    /// Interaction blocks, first to last.
    pub interactions: Vec<Interaction>,
    /// `hidden_channels → hidden_channels/2` of the energy head.
    pub energy_in: Dense,
    /// `hidden_channels/2 → 1` of the energy head.
    pub energy_out: Dense,
    #[module(skip)]
    cutoff: f64,
    #[module(skip)]
    basis: Gaussians,
}

impl SchNet {
    /// Network with fresh weights: Xavier-uniform matrices, zero biases, standard normal embeddings.
    pub fn new(config: &SchNetConfig, rng: &mut Initializer) -> Self {
        let (h, f) = (config.hidden_channels, config.n_filters);
        let xavier = Init::XavierUniform;
        let interactions = (0..config.n_interactions)
            .map(|_| Interaction {
                filter_in: Dense::new(config.n_gaussians, f, true, xavier, rng),
                filter_out: Dense::new(f, f, true, xavier, rng),
                source: Dense::new(h, f, false, xavier, rng),
                message: Dense::new(f, h, true, xavier, rng),
                output: Dense::new(h, h, true, xavier, rng),
            })
            .collect();
        Self {
            embedding: Embedding::new(SchNetConfig::EMBEDDING_ROWS, h, Init::Normal, rng),
            interactions,
            energy_in: Dense::new(h, h / 2, true, xavier, rng),
            energy_out: Dense::new(h / 2, 1, true, xavier, rng),
            cutoff: config.cutoff,
            basis: Gaussians::new(0.0, config.cutoff, config.n_gaussians),
        }
    }

    /// Energies, forces when asked, and the features at `taps`, in normalised units.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        let expansion = self.expand(batch, forces == Forces::Gradient);
        let mut node = self.embedding.forward(&batch.element_rows(0));
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

    /// Arguments of the filters, with derivatives where `slopes`.
    fn expand(&self, batch: &Batch, slopes: bool) -> Expansion {
        let geometry = batch.host.as_ref().filter(|_| on_host(&batch.distance) && batch.n_edges > 0);
        let Some(geometry) = geometry else {
            let distance = || batch.distance.clone();
            let gaussians = gaussian_values(&self.basis, distance());
            let slopes = slopes.then(|| {
                let gaussians = gaussian_slopes(&self.basis, distance(), gaussians.clone());
                [gaussians, cosine_cutoff_derivative(distance(), self.cutoff)]
            });
            return Expansion::Edges(EdgeBasis { gaussians, cutoff: cosine_cutoff(distance(), self.cutoff), slopes });
        };
        let edges = FilteredEdges::new(batch.ends.clone(), batch.n_atoms, &geometry.distance);
        let n_lengths = edges.lengths().len();
        let length = float_tensor(edges.lengths().to_vec(), [n_lengths, 1], &batch.device, batch.dtype);
        let mut gaussians = gaussian_values(&self.basis, length.clone());
        let mut cutoff = cosine_cutoff(length.clone(), self.cutoff);
        if slopes {
            let slope = gaussian_slopes(&self.basis, length.clone(), gaussians.clone());
            gaussians = Tensor::cat(vec![gaussians, slope], 0);
            cutoff = Tensor::cat(vec![cutoff, cosine_cutoff_derivative(length, self.cutoff)], 0);
        }
        Expansion::Lengths { edges: Arc::new(edges), basis: LengthBasis { gaussians, cutoff, n_lengths } }
    }

    /// `∂E/∂displacement` of each edge, by running the blocks backwards. Shape: `[n_edges, 3]`.
    fn edge_gradient(&self, batch: &Batch, expansion: &Expansion, hidden: Tensor<2>, saved: Vec<Saved>) -> Tensor<2> {
        if batch.n_edges == 0 {
            return batch.zeros([0, 3]);
        }
        let ones = batch.zeros([batch.n_atoms, 1]).add_scalar(1.0);
        let hidden_gradient = self.energy_out.adjoint(ones) * shifted_softplus_derivative(hidden);
        let mut node_gradient = self.energy_in.adjoint(hidden_gradient);
        let mut distance_gradient = batch.zeros([batch.n_edges, 1]);
        for (i, (block, saved)) in self.interactions.iter().zip(saved).enumerate().rev() {
            let adjoint = block.adjoint(batch, expansion, saved, node_gradient.clone());
            distance_gradient = distance_gradient + adjoint.distance;
            // The embedding does not depend on positions.
            if i > 0 {
                node_gradient = node_gradient + block.source.adjoint(adjoint.sent);
            }
        }
        batch.direction.clone() * distance_gradient
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use potstill_core::graph::{GraphRule, Neighbors};
    use potstill_core::model::NetworkSettings;
    use potstill_testkit::systems::{crystal, molecule};

    use super::*;
    use crate::parameters;
    use crate::testing::{everything, far};

    #[test]
    fn fused_convolutions_and_their_derivatives_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        let systems = [molecule(9, 1), crystal(3, [true; 3], 2), molecule(1, 3), molecule(6, 4)];
        for (hidden_channels, n_filters, neighbors) in
            [(12, 20, Neighbors::All), (8, 34, Neighbors::All), (16, 16, Neighbors::Nearest(5))]
        {
            let config =
                SchNetConfig { hidden_channels, n_filters, n_interactions: 3, n_gaussians: 12, cutoff: 4.0, neighbors };
            let network = SchNet::new(&config, &mut Initializer::new(5, &device, DType::F64));
            let values: Vec<f64> = parameters::to_vector(&network);
            // Fresh biases are zero and would hide what they do.
            let values: Vec<f64> = values.iter().enumerate().map(|(i, v)| v + 0.1 * (1.7 * i as f64).sin()).collect();
            let network = parameters::with_vector(network, &values, &device);
            let rule = GraphRule { cutoff: config.cutoff, neighbors, symmetric: false };
            let graph = rule.build(&systems.iter().collect::<Vec<_>>()).unwrap();
            let fused = Batch::new(&graph, &device, DType::F64);
            assert!(matches!(network.expand(&fused, true), Expansion::Lengths { .. }), "the fused path is taken");
            let plain = Batch { host: None, ..fused.clone() };
            for forces in [Forces::Gradient, Forces::None] {
                let of = |batch: &Batch| everything(&network, network.forward(batch, forces, &config.taps()));
                for (which, (a, b)) in of(&fused).iter().zip(of(&plain)).enumerate() {
                    let far = far(a, &b);
                    assert!(far <= 1e-12, "array {which} of {hidden_channels} channels, {forces:?}: {far:e}");
                }
            }
        }
    }

    #[test]
    fn an_edge_and_its_reverse_share_a_filter() {
        let systems = [molecule(9, 1), crystal(3, [true; 3], 2)];
        let rule = GraphRule { cutoff: 4.0, neighbors: Neighbors::All, symmetric: false };
        let graph = rule.build(&systems.iter().collect::<Vec<_>>()).unwrap();
        let edges = FilteredEdges::new(Arc::new([]), 0, &graph.distances());
        assert!(2 * edges.lengths().len() <= graph.n_edges(), "{} of {}", edges.lengths().len(), graph.n_edges());
    }
}
