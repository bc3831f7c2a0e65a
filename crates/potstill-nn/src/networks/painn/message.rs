//! The message layer of PaiNN (paper, eqs. 7 and 8) and its adjoint.

use std::f64::consts::FRAC_1_SQRT_2;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::State;
use super::plain::{EdgeRows, edge_filters, message_gradients, message_sums};
use crate::batch::Batch;
use crate::init::{Init, Initializer};
use crate::layers::norm::LayerNormSaved;
use crate::layers::{Dense, LayerNorm};
use crate::ops::{
    GpuEdges, MessageEdges, MessageGradients, messages, messages_adjoint, messages_adjoint_on_gpu, messages_on_gpu,
};
use crate::tensors::{scaled_silu, scaled_silu_derivative};

/// Sends scalars and vectors of every source along its edges.
#[derive(Module, Debug)]
pub struct Message {
    /// Normalises the scalars.
    pub norm: LayerNorm,
    /// `h → h`.
    pub scalar_in: Dense,
    /// `h → 3h`: what to send as scalars, how to weigh vectors, what to send along the direction.
    pub scalar_out: Dense,
    /// `n_radial → 3h`, the filter of an edge.
    pub filter: Dense,
}

/// Intermediates of the forward pass that the adjoint reads.
#[derive(Debug, Clone)]
pub struct MessageSaved {
    norm: LayerNormSaved,
    hidden: Tensor<2>,
    sent: Sent,
}

/// Intermediates of the sums: of the fused operation, or with a row for each edge.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each layer, beside arrays a thousand times as large")]
enum Sent {
    Fused { sent: Tensor<2>, vector: Tensor<2>, weight: Tensor<2> },
    OnGpu { sent: Tensor<2>, vector: Tensor<2>, filters: Tensor<2>, has_vectors: bool },
    Plain(EdgeRows),
}

/// Radial functions, of which the filters are linear functions.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each batch, never in an array")]
pub(crate) enum Radial {
    /// Radial functions on the host, for the fused operation.
    Rows(Arc<MessageEdges>),
    /// Shape: `[n_edges, n_radial + 1]`; the last column is the envelope or 1, whose weight is the filter's bias.
    Plain(Tensor<2>),
}

/// Gradients with respect to the layer's inputs.
pub(crate) struct MessageAdjoint {
    /// Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
    /// Shape: `[n_edges, 3]`.
    pub direction: Tensor<2>,
    pub scalar: Tensor<2>,
    pub vector: Option<Tensor<2>>,
}

impl Message {
    pub(crate) fn new(h: usize, n_radial: usize, rng: &mut Initializer) -> Self {
        let xavier = Init::XavierUniform;
        Self {
            norm: LayerNorm::new(h, rng),
            scalar_in: Dense::new(h, h, true, xavier, rng),
            scalar_out: Dense::new(h, 3 * h, true, xavier, rng),
            filter: Dense::new(n_radial, 3 * h, true, xavier, rng),
        }
    }

    /// `vector` is absent in the first layer, where all vectors are zero.
    pub(crate) fn forward(
        &self,
        batch: &Batch,
        radial: &Radial,
        scalar: Tensor<2>,
        vector: Option<Tensor<2>>,
    ) -> (State, MessageSaved) {
        let h = scalar.dims()[1];
        let (normalized, norm) = self.norm.forward(scalar.clone());
        let hidden = self.scalar_in.forward(normalized);
        let sent = self.scalar_out.forward(scaled_silu(hidden.clone()));
        let weight = self.filter_weight();
        let (scalar_sum, vector_sum, sent) = match radial {
            Radial::Rows(rows) => {
                let vectors = vector.clone().unwrap_or_else(|| batch.zeros([0, 3 * h]));
                let sums = messages(&sent, &vectors, &weight, rows).unwrap_or_else(|| unreachable!("made for the CPU"));
                let vector_sum = sums.clone().narrow(1, h, 3 * h);
                (sums.narrow(1, 0, h), vector_sum, Sent::Fused { sent, vector: vectors, weight })
            }
            Radial::Plain(radial) => {
                if let Some((scalar_sum, vector_sum, sent)) = self.sums_on_gpu(batch, radial, &sent, vector.as_ref()) {
                    return updated(scalar, vector, (scalar_sum, vector_sum), MessageSaved { norm, hidden, sent });
                }
                let (scalar_sum, vector_sum, rows) = message_sums(batch, radial, sent, vector.clone(), weight);
                (scalar_sum, vector_sum, Sent::Plain(rows))
            }
        };
        updated(scalar, vector, (scalar_sum, vector_sum), MessageSaved { norm, hidden, sent })
    }

    /// Sums of the messages by kernels of a graphics processor; none on other devices, and where gradients with respect to the geometry
    /// are recorded.
    fn sums_on_gpu(
        &self,
        batch: &Batch,
        radial: &Tensor<2>,
        sent: &Tensor<2>,
        vector: Option<&Tensor<2>>,
    ) -> Option<(Tensor<2>, Tensor<2>, Sent)> {
        if batch.n_edges == 0 || batch.host.is_none() || batch.target.on_gpu().is_none() {
            return None;
        }
        let h = sent.dims()[1] / 3;
        let has_vectors = vector.is_some();
        let vector = vector.cloned().unwrap_or_else(|| batch.zeros([batch.n_atoms, 3 * h]));
        let filters = edge_filters(radial, &self.filter_weight());
        let sums = messages_on_gpu(gpu_edges(batch), sent, &vector, &filters)?;
        let saved = Sent::OnGpu { sent: sent.clone(), vector, filters, has_vectors };
        Some((sums.clone().narrow(1, 0, h), sums.narrow(1, h, 3 * h), saved))
    }

    /// `[W, β]`: with a smooth cutoff `W u b + u β` is `u (W b + β)`. Shape: `[3h, n_radial + 1]`.
    fn filter_weight(&self) -> Tensor<2> {
        let weight = self.filter.weight.val();
        let bias = match &self.filter.bias {
            Some(bias) => bias.val().unsqueeze_dim(1),
            None => weight.clone().narrow(1, 0, 1).zeros_like(),
        };
        Tensor::cat(vec![weight, bias], 1)
    }

    /// Gradients with respect to the layer's inputs, given those of its outputs; in mirrored order. `slopes` is the derivative of the
    /// radial functions with respect to the distance, where these are tensors.
    pub(crate) fn adjoint(
        &self,
        batch: &Batch,
        radial: &Radial,
        slopes: Option<&Tensor<2>>,
        saved: MessageSaved,
        scalar_gradient: Tensor<2>,
        vector_gradient: Tensor<2>,
    ) -> MessageAdjoint {
        let scalar_gradient = scalar_gradient.mul_scalar(FRAC_1_SQRT_2);
        let gradients = match (saved.sent, radial) {
            (Sent::Fused { sent, vector, weight }, Radial::Rows(rows)) => {
                messages_adjoint([&scalar_gradient, &vector_gradient, &sent, &vector, &weight], rows)
                    .unwrap_or_else(|| unreachable!("made for the CPU"))
            }
            (Sent::Plain(rows), _) => {
                let (s, v) = (scalar_gradient.clone(), vector_gradient.clone());
                message_gradients(batch, slopes, rows, s, v, self.filter_weight())
            }
            (Sent::OnGpu { sent, vector, filters, has_vectors }, _) => {
                let slopes = match slopes {
                    Some(slopes) => edge_filters(slopes, &self.filter_weight()),
                    None => filters.zeros_like(),
                };
                let gradients = [&scalar_gradient, &vector_gradient];
                let gradients =
                    messages_adjoint_on_gpu(gpu_edges(batch), gradients, [&sent, &vector], [&filters, &slopes])
                        .unwrap_or_else(|| unreachable!("made for a graphics processor"));
                let vector = gradients.vector.filter(|_| has_vectors);
                MessageGradients { vector, ..gradients }
            }
            (Sent::Fused { .. }, Radial::Plain(_)) => unreachable!("both from one forward pass"),
        };
        let hidden_gradient = self.scalar_out.adjoint(gradients.sent) * scaled_silu_derivative(saved.hidden);
        let scalar = scalar_gradient + self.norm.adjoint(&saved.norm, self.scalar_in.adjoint(hidden_gradient));
        let vector = gradients.vector.map(|gradient| vector_gradient + gradient);
        MessageAdjoint { distance: gradients.distance, direction: gradients.direction, scalar, vector }
    }
}

/// Edges of a batch for kernels of a graphics processor.
fn gpu_edges(batch: &Batch) -> GpuEdges<'_> {
    GpuEdges { source: &batch.source, target: &batch.target, direction: &batch.direction }
}

/// Atoms after they have received their messages.
fn updated(
    scalar: Tensor<2>,
    vector: Option<Tensor<2>>,
    (scalar_sum, vector_sum): (Tensor<2>, Tensor<2>),
    saved: MessageSaved,
) -> (State, MessageSaved) {
    let scalar = (scalar + scalar_sum).mul_scalar(FRAC_1_SQRT_2);
    let vector = match vector {
        Some(vector) => vector + vector_sum,
        None => vector_sum,
    };
    (State { scalar, vector }, saved)
}
