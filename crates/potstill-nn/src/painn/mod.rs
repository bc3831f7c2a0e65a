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
mod update;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::graph::Neighbors;
use potstill_core::{Error, Result, limits};
use serde::{Deserialize, Serialize};

use self::direct_forces::DirectForces;
use self::message::{Message, MessageSaved, Radial};
use self::update::{Update, UpdateSaved};
use crate::batch::Batch;
use crate::features::{Features, Tap};
use crate::init::{Init, Initializer};
use crate::layers::activation::{scaled_silu, scaled_silu_derivative};
use crate::layers::radial_basis::{EnvelopeKind, RadialKind};
use crate::layers::{Dense, Embedding, RadialBasis};
use crate::network::{Forces, Output};
use crate::ops::{MessageEdges, on_host};
use potstill_kernels::radial::Gaussians;

/// Rows of the embedding: hydrogen to bismuth.
const EMBEDDING_ROWS: usize = 83;

/// Sizes of a [`PaiNN`]; the default is the small COLL setting of the distillation paper, with gradient forces.
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

impl PaiNNConfig {
    /// Checks that a network can be built.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
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
        crate::network::validate_neighbors(self.neighbors)?;
        crate::network::validate_cutoff(self.cutoff)
    }

    /// Number of weights; a real number, since sizes that a file claims may be absurd.
    pub fn n_parameters(&self) -> f64 {
        let [h, r] = [self.hidden_channels, self.n_radial].map(|n| n as f64);
        let half = 0.5 * h;
        let message = 2.0 * h + (h + 1.0) * h + (h + 1.0) * 3.0 * h + (r + 1.0) * 3.0 * h;
        let update = 2.0 * h * h + (2.0 * h + 1.0) * h + (h + 1.0) * 3.0 * h;
        let gated = |i: f64, o: f64| i * i + i * o + (2.0 * i + 1.0) * i + (i + 1.0) * 2.0 * o;
        let direct = if self.forces == Forces::Direct { gated(h, half) + gated(half, 1.0) } else { 0.0 };
        let energy = (h + 1.0) * half + half + 1.0;
        let basis = RadialBasis::n_parameters(self.radial_basis, self.n_radial) as f64;
        basis + EMBEDDING_ROWS as f64 * h + self.n_layers as f64 * (message + update) + energy + direct
    }

    /// A network with fresh weights: Xavier-uniform matrices, zero biases, embeddings uniform within ±√3.
    pub fn init(&self, rng: &mut Initializer) -> PaiNN {
        let h = self.hidden_channels;
        let xavier = Init::XavierUniform;
        let embedding = Embedding::new(EMBEDDING_ROWS, h, Init::Uniform(3.0_f64.sqrt()), rng);
        let messages = (0..self.n_layers).map(|_| Message::new(h, self.n_radial, rng)).collect();
        let updates = (0..self.n_layers)
            .map(|i| Update::new(h, self.update_scales.get(i).copied().unwrap_or(1.0), rng))
            .collect();
        PaiNN {
            embedding,
            messages,
            updates,
            energy_in: Dense::new(h, h / 2, true, xavier, rng),
            energy_out: Dense::new(h / 2, 1, true, xavier, rng),
            direct_forces: (self.forces == Forces::Direct).then(|| DirectForces::new(h, rng)),
            radial_basis: RadialBasis::new(
                self.radial_basis,
                Gaussians::new(0.0, 1.0, self.n_radial),
                self.envelope.with_exponent(self.envelope_exponent),
                self.cutoff,
                rng,
            ),
            smooth_cutoff: self.smooth_cutoff,
        }
    }
}

/// The network.
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
    /// What expands a distance.
    pub radial_basis: RadialBasis,
    #[module(skip)]
    smooth_cutoff: bool,
}

impl PaiNN {
    /// Taps of a network with that many layers, first to last.
    pub fn taps(n_layers: usize) -> Vec<Tap> {
        (1..=n_layers).flat_map(|i| [Tap::Message(i), Tap::Update(i)]).collect()
    }

    /// Energies, forces when asked, and the features at `taps`, in normalised units.
    ///
    /// Direct forces need a network that was built with that head; without one they are absent.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        let radial = self.radial(batch);
        let index = batch.atomic_numbers.clone().sub_scalar(1);
        let mut scalar = self.embedding.forward(index);
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

    /// What the filters are linear functions of.
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
        let hidden_bar = self.energy_out.adjoint(ones) * scaled_silu_derivative(hidden);
        let mut scalar_bar = self.energy_in.adjoint(hidden_bar);
        let mut vector_bar = None;
        let slopes = matches!(radial, Radial::Plain(_)).then(|| self.radial_slope(batch));
        let mut distance_bar = batch.zeros([batch.n_edges, 1]);
        let mut direction_bar = batch.zeros([batch.n_edges, 3]);
        let layers = self.messages.iter().zip(&self.updates);
        for ((message, update), (message_saved, update_saved)) in layers.zip(saved).rev() {
            let (s, v) = update.adjoint(update_saved, scalar_bar, vector_bar);
            let adjoint = message.adjoint(batch, radial, slopes.as_ref(), message_saved, s, v);
            distance_bar = distance_bar + adjoint.distance;
            direction_bar = direction_bar + adjoint.direction;
            scalar_bar = adjoint.scalar;
            vector_bar = adjoint.vector;
        }
        // direction = displacement / distance, whose derivative is (1 − direction ⊗ direction) / distance.
        let direction = batch.direction.clone();
        let along = (direction_bar.clone() * direction.clone()).sum_dim(1);
        let across = (direction_bar - direction.clone() * along) / batch.distance.clone();
        direction * distance_bar + across
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
    use potstill_testkit::systems::{crystal, molecule};

    use super::*;
    use crate::ops::testing::{everything, far};
    use crate::parameters;

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
            let network = config.init(&mut Initializer::new(5, &device, DType::F64));
            let values: Vec<f64> = parameters::to_vector(&network);
            // Fresh biases are zero and would hide what they do.
            let values: Vec<f64> = values.iter().enumerate().map(|(i, v)| v + 0.1 * (1.7 * i as f64).sin()).collect();
            let network = parameters::with_vector(network, &values, &device);
            let rule = GraphRule { cutoff: config.cutoff, neighbors: Neighbors::All, symmetric: true };
            let graph = rule.build(&systems.iter().collect::<Vec<_>>()).unwrap();
            let fused = Batch::new(&graph, &device, DType::F64);
            assert!(matches!(network.radial(&fused), Radial::Rows(_)), "the fused path is taken");
            let plain = Batch { host: None, ..fused.clone() };
            let of = |batch: &Batch| everything(&network, network.forward(batch, Forces::Gradient, &PaiNN::taps(3)));
            for (which, (a, b)) in of(&fused).iter().zip(of(&plain)).enumerate() {
                let far = far(a, &b);
                assert!(far <= 1e-12, "array {which} of {hidden_channels} channels: {far:e}");
            }
        }
    }
}
