//! PaiNN: equivariant message passing with scalar and vector features.
//!
//! K. T. Schütt, O. T. Unke, M. Gastegger, *Equivariant message passing for the prediction of tensorial properties
//! and molecular spectra*, ICML 2021, arXiv 2102.03150.
//!
//! | here | in the paper | shape |
//! |---|---|---|
//! | `scalar` | s | `[n_atoms, h]` |
//! | `vector` | v⃗, all channels of x, then y, then z | `[n_atoms, 3·h]` |
//! | `radial` | f_cut · rbf | `[n_edges, n_radial]` |
//! | `direction` | r⃗_ij / ‖r⃗_ij‖ | `[n_edges, 3]` |
//!
//! Departures, all shared with the Open Catalyst implementation whose checkpoints this network reads: layer norm
//! before the message, scaled SiLU, `1/√2` and `1/√h` factors, an optional constant factor after each update. There the
//! filter is an affine function of envelope times basis, so that its bias survives at the cutoff and the energy jumps
//! when a pair crosses it; with `smooth_cutoff` the envelope multiplies the whole filter, as in the paper.

mod direct_forces;
mod message;
mod plain;
mod update;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::model::{Forces, PaiNNConfig, Tap};
use potstill_kernels::radial::{Envelope, Gaussians};

use self::direct_forces::DirectForces;
use self::message::{Message, MessageSaved, Radial};
use self::update::{Update, UpdateSaved};
use crate::batch::Batch;
use crate::features::Features;
use crate::init::{Init, Initializer};
use crate::layers::{Dense, Embedding, RadialBasis};
use crate::ops::{MessageEdges, on_host};
use crate::output::Output;
use crate::tensors::{scaled_silu, scaled_silu_derivative};

/// PaiNN with its weights.
#[derive(Module, Debug)]
pub struct PaiNN {
    /// Row `Z − 1` starts the scalars of element `Z`. Shape: `[83, h]`.
    pub embedding: Embedding,
    /// Message layers, first to last.
    pub messages: Vec<Message>,
    /// Update layers, first to last.
    pub updates: Vec<Update>,
    /// `h → h/2` of the energy head.
    pub energy_in: Dense,
    /// `h/2 → 1` of the energy head.
    pub energy_out: Dense,
    /// Head of direct forces, when the configuration asks for it.
    pub direct_forces: Option<DirectForces>,
    /// Radial basis of the distances.
    pub radial_basis: RadialBasis,
    #[module(skip)]
    smooth_cutoff: bool,
}

impl PaiNN {
    /// Network with fresh weights: Xavier-uniform matrices, zero biases, embeddings uniform within ±√3.
    pub fn new(config: &PaiNNConfig, rng: &mut Initializer) -> Self {
        let h = config.hidden_channels;
        let xavier = Init::XavierUniform;
        let embedding = Embedding::new(PaiNNConfig::EMBEDDING_ROWS, h, Init::Uniform(3.0_f64.sqrt()), rng);
        let messages = (0..config.n_layers).map(|_| Message::new(h, config.n_radial, rng)).collect();
        let updates = (0..config.n_layers)
            .map(|i| Update::new(h, config.update_scales.get(i).copied().unwrap_or(1.0), rng))
            .collect();
        Self {
            embedding,
            messages,
            updates,
            energy_in: Dense::new(h, h / 2, true, xavier, rng),
            energy_out: Dense::new(h / 2, 1, true, xavier, rng),
            direct_forces: (config.forces == Forces::Direct).then(|| DirectForces::new(h, rng)),
            radial_basis: RadialBasis::new(
                config.radial_basis,
                Gaussians::new(0.0, 1.0, config.n_radial),
                Envelope::of(config.envelope, config.envelope_exponent),
                config.cutoff,
                rng,
            ),
            smooth_cutoff: config.smooth_cutoff,
        }
    }

    /// Energies, forces when asked, and the features at `taps`, in normalised units.
    ///
    /// Direct forces need a network that was built with that head; without one they are absent.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        let radial = self.radial(batch);
        let mut scalar = self.embedding.forward(&batch.element_rows(1));
        let mut vector = None;
        let mut features = Vec::new();
        let mut saved = Vec::new();
        for (i, (message, update)) in self.messages.iter().zip(&self.updates).enumerate() {
            let (sent, message_saved) = message.forward(batch, &radial, scalar, vector);
            push_features(&mut features, taps, Tap::Message(i + 1), &sent);
            let (updated, update_saved) = update.forward(sent);
            push_features(&mut features, taps, Tap::Update(i + 1), &updated);
            saved.push((message_saved, update_saved));
            scalar = updated.scalar;
            vector = Some(updated.vector);
        }
        let hidden = self.energy_in.forward(scalar.clone());
        let atomic_energies = self.energy_out.forward(scaled_silu(hidden.clone()));
        let mut output = Output::new(batch, atomic_energies, features);
        match (forces, &self.direct_forces) {
            (Forces::Gradient, _) => {
                output.set_edge_gradient(batch, self.edge_gradient(batch, &radial, hidden, saved));
            }
            (Forces::Direct, Some(head)) => output.forces = vector.map(|vector| head.forward(scalar, vector)),
            _ => {}
        }
        output
    }

    /// Radial functions, of which the filters are linear functions.
    fn radial(&self, batch: &Batch) -> Radial {
        if let Some(geometry) = batch.host.as_ref().filter(|_| on_host(&batch.distance))
            && let Some(rows) = self.radial_basis.rows(&geometry.distance, batch.dtype, self.smooth_cutoff)
        {
            let (ends, direction) = (batch.ends.clone(), geometry.direction.clone());
            return Radial::Rows(Arc::new(MessageEdges::new(ends, batch.n_atoms, direction, rows)));
        }
        let radial = self.radial_basis.forward(batch.distance.clone());
        let last = match self.smooth_cutoff {
            true => self.radial_basis.envelope(batch.distance.clone()),
            false => batch.zeros([batch.n_edges, 1]).add_scalar(1.0),
        };
        Radial::Plain(Tensor::cat(vec![radial, last], 1))
    }

    /// Derivative of the tensor of [`Self::radial`] with respect to the distance. Same shape.
    fn radial_slope(&self, batch: &Batch) -> Tensor<2> {
        let slope = self.radial_basis.slope(batch.distance.clone());
        let last = match self.smooth_cutoff {
            true => self.radial_basis.envelope_slope(batch.distance.clone()),
            false => batch.zeros([batch.n_edges, 1]),
        };
        Tensor::cat(vec![slope, last], 1)
    }

    /// `∂E/∂displacement` of each edge, by running the layers backwards. Shape: `[n_edges, 3]`.
    fn edge_gradient(
        &self,
        batch: &Batch,
        radial: &Radial,
        hidden: Tensor<2>,
        saved: Vec<(MessageSaved, UpdateSaved)>,
    ) -> Tensor<2> {
        if batch.n_edges == 0 {
            return batch.zeros([0, 3]);
        }
        let ones = batch.zeros([batch.n_atoms, 1]).add_scalar(1.0);
        let hidden_gradient = self.energy_out.adjoint(ones) * scaled_silu_derivative(hidden);
        let mut scalar_gradient = self.energy_in.adjoint(hidden_gradient);
        let mut vector_gradient = None;
        let slopes = matches!(radial, Radial::Plain(_)).then(|| self.radial_slope(batch));
        let mut distance_gradient = batch.zeros([batch.n_edges, 1]);
        let mut direction_gradient = batch.zeros([batch.n_edges, 3]);
        let layers = self.messages.iter().zip(&self.updates);
        for ((message, update), (message_saved, update_saved)) in layers.zip(saved).rev() {
            let (s, v) = update.adjoint(update_saved, scalar_gradient, vector_gradient);
            let adjoint = message.adjoint(batch, radial, slopes.as_ref(), message_saved, s, v);
            distance_gradient = distance_gradient + adjoint.distance;
            direction_gradient = direction_gradient + adjoint.direction;
            scalar_gradient = adjoint.scalar;
            vector_gradient = adjoint.vector;
        }
        // direction = displacement / distance, whose derivative is (1 − direction ⊗ direction) / distance.
        let direction = batch.direction.clone();
        let along = (direction_gradient.clone() * direction.clone()).sum_dim(1);
        let across = (direction_gradient - direction.clone() * along) / batch.distance.clone();
        direction * distance_gradient + across
    }
}

/// Scalars and vectors between two layers.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Shape: `[n_atoms, h]`.
    pub scalar: Tensor<2>,
    /// Shape: `[n_atoms, 3·h]`.
    pub vector: Tensor<2>,
}

fn push_features(features: &mut Vec<Features>, taps: &[Tap], tap: Tap, state: &State) {
    if taps.contains(&tap) {
        features.push(Features { tap, node: state.scalar.clone(), vector: Some(state.vector.clone()), edge: None });
    }
}

/// Columns `[part·width, (part+1)·width)`.
fn columns(x: &Tensor<2>, part: usize, width: usize) -> Tensor<2> {
    x.clone().narrow(1, part * width, width)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use potstill_core::graph::{GraphRule, Neighbors};
    use potstill_core::model::{EnvelopeKind, NetworkSettings};
    use potstill_testkit::systems::{crystal, molecule};

    use super::*;
    use crate::parameters;
    use crate::testing::{everything, far};

    #[test]
    fn fused_messages_and_their_derivatives_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        let systems = [molecule(9, 1), crystal(3, [true; 3], 2), molecule(1, 3), molecule(6, 4)];
        for (hidden_channels, smooth_cutoff, envelope, n_radial) in [
            (12, true, EnvelopeKind::Polynomial, 40),
            (16, true, EnvelopeKind::Exponential, 5),
            (34, false, EnvelopeKind::Polynomial, 40),
        ] {
            let config = PaiNNConfig {
                hidden_channels,
                n_layers: 3,
                n_radial,
                cutoff: 3.5,
                smooth_cutoff,
                envelope,
                ..PaiNNConfig::default()
            };
            let network = PaiNN::new(&config, &mut Initializer::new(5, &device, DType::F64));
            let values: Vec<f64> = parameters::to_vector(&network);
            // Fresh biases are zero and would hide what they do.
            let values: Vec<f64> = values.iter().enumerate().map(|(i, v)| v + 0.1 * (1.7 * i as f64).sin()).collect();
            let network = parameters::with_vector(network, &values, &device);
            let rule = GraphRule { cutoff: config.cutoff, neighbors: Neighbors::All, symmetric: true };
            let graph = rule.build(&systems.iter().collect::<Vec<_>>()).unwrap();
            let fused = Batch::new(&graph, &device, DType::F64);
            assert!(matches!(network.radial(&fused), Radial::Rows(_)), "the fused path is taken");
            let plain = Batch { host: None, ..fused.clone() };
            let of = |batch: &Batch| everything(&network, network.forward(batch, Forces::Gradient, &config.taps()));
            for (which, (a, b)) in of(&fused).iter().zip(of(&plain)).enumerate() {
                let far = far(a, &b);
                assert!(far <= 1e-12, "array {which} of {hidden_channels} channels: {far:e}");
            }
        }
    }
}
