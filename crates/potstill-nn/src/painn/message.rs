//! The message layer of PaiNN (paper, eqs. 7 and 8) and its adjoint.

use std::f64::consts::FRAC_1_SQRT_2;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{State, columns};
use crate::batch::Batch;
use crate::init::{Init, Initializer};
use crate::layers::activation::{scaled_silu, scaled_silu_derivative};
use crate::layers::norm::LayerNormSaved;
use crate::layers::scatter::{gather_rows, sum_rows};
use crate::layers::{Dense, LayerNorm};
use crate::ops::{MessageEdges, messages, messages_adjoint};

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

/// What the adjoint needs of the forward pass.
#[derive(Debug, Clone)]
pub struct MessageSaved {
    norm: LayerNormSaved,
    hidden: Tensor<2>,
    sent: Sent,
}

/// What was sent: to atoms at once, or along edges.
#[derive(Debug, Clone)]
enum Sent {
    Fused { sent: Tensor<2>, vector: Tensor<2>, weight: Tensor<2> },
    Plain { rows: Tensor<2>, filters: Tensor<2>, vector_rows: Option<Tensor<2>> },
}

/// What the filters are linear functions of.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each batch, never in an array")]
pub(crate) enum Radial {
    /// On the host, for the fused operation.
    Rows(Arc<MessageEdges>),
    /// Shape: `[n_edges, n_radial + 1]`; the last column is the envelope or 1, whose weight is the filter's bias.
    Plain(Tensor<2>),
}

/// Gradients that the layer hands back.
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
                let rows = gather_rows(sent, batch.source.clone());
                let vector_rows = vector.clone().map(|v| gather_rows(v, batch.source.clone()));
                let filters = if batch.n_edges == 0 { rows.clone() } else { radial.clone().matmul(weight.transpose()) };
                let gated = rows.clone() * filters.clone();
                let scalar_sum = sum_rows(columns(&gated, 0, h), batch.target.clone(), batch.n_atoms);
                let vector_messages = vector_messages(batch, &gated, vector_rows.clone(), h);
                let vector_sum = sum_rows(vector_messages, batch.target.clone(), batch.n_atoms);
                let vector_sum = vector_sum.mul_scalar(1.0 / (h as f64).sqrt());
                (scalar_sum, vector_sum, Sent::Plain { rows, filters, vector_rows })
            }
        };
        let scalar = (scalar + scalar_sum).mul_scalar(FRAC_1_SQRT_2);
        let vector = match vector {
            Some(vector) => vector + vector_sum,
            None => vector_sum,
        };
        (State { scalar, vector }, MessageSaved { norm, hidden, sent })
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
        scalar_bar: Tensor<2>,
        vector_bar: Tensor<2>,
    ) -> MessageAdjoint {
        let (n, h) = (batch.n_edges, scalar_bar.dims()[1]);
        let scalar_bar = scalar_bar.mul_scalar(FRAC_1_SQRT_2);
        let (sent_bar, vector, distance, direction) = match (saved.sent, radial) {
            (Sent::Fused { sent, vector, weight }, Radial::Rows(rows)) => {
                let bars = messages_adjoint([&scalar_bar, &vector_bar, &sent, &vector, &weight], rows)
                    .unwrap_or_else(|| unreachable!("made for the CPU"));
                (bars.sent, bars.vector.map(|bar| vector_bar + bar), bars.distance, bars.direction)
            }
            (Sent::Plain { rows: source_rows, filters, vector_rows }, _) => {
                let scalar_edge = gather_rows(scalar_bar.clone(), batch.target.clone());
                let vector_edge = vector_bar.clone().mul_scalar(1.0 / (h as f64).sqrt());
                let vector_edge = gather_rows(vector_edge, batch.target.clone()).reshape([n, 3, h]);

                let gated = source_rows.clone() * filters.clone();
                let direction = batch.direction.clone().reshape([n, 3, 1]);
                let along = columns(&gated, 2, h).reshape([n, 1, h]);
                let along_bar = (vector_edge.clone() * direction).sum_dim(1).reshape([n, h]);
                let direction_bar = (vector_edge.clone() * along).sum_dim(2).reshape([n, 3]);
                let (weight_bar, vector) = match vector_rows {
                    None => (batch.zeros([n, h]), None),
                    Some(rows) => {
                        let rows = rows.reshape([n, 3, h]);
                        let weight = columns(&gated, 1, h).reshape([n, 1, h]).mul_scalar(1.0 / 3.0_f64.sqrt());
                        let weight_bar =
                            (vector_edge.clone() * rows).sum_dim(1).reshape([n, h]).mul_scalar(1.0 / 3.0_f64.sqrt());
                        let rows_bar = (vector_edge * weight).reshape([n, 3 * h]);
                        (weight_bar, Some(vector_bar + sum_rows(rows_bar, batch.source.clone(), batch.n_atoms)))
                    }
                };
                let gated_bar = Tensor::cat(vec![scalar_edge, weight_bar, along_bar], 1);
                let radial_bar = (gated_bar.clone() * source_rows).matmul(self.filter_weight());
                let distance = match slopes {
                    Some(slopes) => (radial_bar * slopes.clone()).sum_dim(1),
                    None => batch.zeros([n, 1]),
                };
                let sent_bar = sum_rows(gated_bar * filters, batch.source.clone(), batch.n_atoms);
                (sent_bar, vector, distance, direction_bar)
            }
            (Sent::Fused { .. }, Radial::Plain(_)) => unreachable!("both from one forward pass"),
        };
        let hidden_bar = self.scalar_out.adjoint(sent_bar) * scaled_silu_derivative(saved.hidden);
        let scalar = scalar_bar + self.norm.adjoint(&saved.norm, self.scalar_in.adjoint(hidden_bar));
        MessageAdjoint { distance, direction, scalar, vector }
    }
}

/// `v_s ⊙ b/√3 + direction ⊗ c` of each edge. Shape: `[n_edges, 3·h]`.
fn vector_messages(batch: &Batch, gated: &Tensor<2>, vector_rows: Option<Tensor<2>>, h: usize) -> Tensor<2> {
    let n = batch.n_edges;
    if n == 0 {
        return batch.zeros([0, 3 * h]);
    }
    let along = columns(gated, 2, h).reshape([n, 1, h]) * batch.direction.clone().reshape([n, 3, 1]);
    let messages = match vector_rows {
        Some(rows) => {
            let weight = columns(gated, 1, h).reshape([n, 1, h]).mul_scalar(1.0 / 3.0_f64.sqrt());
            along + rows.reshape([n, 3, h]) * weight
        }
        None => along,
    };
    messages.reshape([n, 3 * h])
}
