//! The message layer of PaiNN (paper, eqs. 7 and 8) and its adjoint.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{State, columns};
use crate::batch::Batch;
use crate::init::{Init, Initializer};
use crate::layers::activation::{scaled_silu, scaled_silu_derivative};
use crate::layers::norm::LayerNormSaved;
use crate::layers::scatter::{gather_rows, sum_rows};
use crate::layers::{Dense, LayerNorm};

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
    #[module(skip)]
    smooth_cutoff: bool,
}

/// What the adjoint needs of the forward pass.
#[derive(Debug, Clone)]
pub struct MessageSaved {
    norm: LayerNormSaved,
    hidden: Tensor<2>,
    source_rows: Tensor<2>,
    filters: Tensor<2>,
    vector_rows: Option<Tensor<2>>,
}

/// Gradients that the layer hands back.
pub(crate) struct MessageAdjoint {
    pub radial: Tensor<2>,
    pub direction: Tensor<2>,
    pub scalar: Tensor<2>,
    pub vector: Option<Tensor<2>>,
}

impl Message {
    pub(crate) fn new(h: usize, n_radial: usize, smooth_cutoff: bool, rng: &mut Initializer) -> Self {
        let xavier = Init::XavierUniform;
        Self {
            norm: LayerNorm::new(h, rng),
            scalar_in: Dense::new(h, h, true, xavier, rng),
            scalar_out: Dense::new(h, 3 * h, true, xavier, rng),
            filter: Dense::new(n_radial, 3 * h, true, xavier, rng),
            smooth_cutoff,
        }
    }

    /// `vector` is absent in the first layer, where all vectors are zero.
    pub(crate) fn forward(
        &self,
        batch: &Batch,
        radial: &Tensor<2>,
        scalar: Tensor<2>,
        vector: Option<Tensor<2>>,
    ) -> (State, MessageSaved) {
        let h = scalar.dims()[1];
        let (normalized, norm) = self.norm.forward(scalar.clone());
        let hidden = self.scalar_in.forward(normalized);
        let sent = self.scalar_out.forward(scaled_silu(hidden.clone()));
        let source_rows = gather_rows(sent, batch.source.clone());
        let vector_rows = vector.clone().map(|v| gather_rows(v, batch.source.clone()));
        let filters = if batch.n_edges == 0 { source_rows.clone() } else { self.filters(radial.clone()) };

        let gated = source_rows.clone() * filters.clone();
        let scalar_sum = sum_rows(columns(&gated, 0, h), batch.target.clone(), batch.n_atoms);
        let vector_messages = vector_messages(batch, &gated, vector_rows.clone(), h);
        let vector_sum =
            sum_rows(vector_messages, batch.target.clone(), batch.n_atoms).mul_scalar(1.0 / (h as f64).sqrt());

        let scalar = (scalar + scalar_sum).mul_scalar(FRAC_1_SQRT_2);
        let vector = match vector {
            Some(vector) => vector + vector_sum,
            None => vector_sum,
        };
        (State { scalar, vector }, MessageSaved { norm, hidden, source_rows, filters, vector_rows })
    }

    /// Filters of all edges. With a smooth cutoff the last column of `radial` is the envelope: `W u b + u β` is `u (W b + β)`.
    fn filters(&self, radial: Tensor<2>) -> Tensor<2> {
        match self.smooth_weight() {
            Some(weight) => radial.matmul(weight.transpose()),
            None => self.filter.forward(radial),
        }
    }

    /// Gradient with respect to `radial`, given that of the filters.
    fn filters_adjoint(&self, filters_bar: Tensor<2>) -> Tensor<2> {
        match self.smooth_weight() {
            Some(weight) => filters_bar.matmul(weight),
            None => self.filter.adjoint(filters_bar),
        }
    }

    /// `[W, β]`. Shape: `[3h, n_radial + 1]`.
    fn smooth_weight(&self) -> Option<Tensor<2>> {
        let bias = self.filter.bias.as_ref().filter(|_| self.smooth_cutoff)?.val();
        Some(Tensor::cat(vec![self.filter.weight.val(), bias.unsqueeze_dim(1)], 1))
    }

    /// Gradients with respect to the layer's inputs, given those of its outputs; in mirrored order.
    pub(crate) fn adjoint(
        &self,
        batch: &Batch,
        saved: MessageSaved,
        scalar_bar: Tensor<2>,
        vector_bar: Tensor<2>,
    ) -> MessageAdjoint {
        let (n, h) = (batch.n_edges, scalar_bar.dims()[1]);
        let scalar_bar = scalar_bar.mul_scalar(FRAC_1_SQRT_2);
        let scalar_edge = gather_rows(scalar_bar.clone(), batch.target.clone());
        let vector_edge = vector_bar.clone().mul_scalar(1.0 / (h as f64).sqrt());
        let vector_edge = gather_rows(vector_edge, batch.target.clone()).reshape([n, 3, h]);

        let gated = saved.source_rows.clone() * saved.filters.clone();
        let direction = batch.direction.clone().reshape([n, 3, 1]);
        let along = columns(&gated, 2, h).reshape([n, 1, h]);
        let along_bar = (vector_edge.clone() * direction).sum_dim(1).reshape([n, h]);
        let direction_bar = (vector_edge.clone() * along).sum_dim(2).reshape([n, 3]);
        let (weight_bar, vector) = match saved.vector_rows {
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
        let radial = self.filters_adjoint(gated_bar.clone() * saved.source_rows);
        let sent_bar = sum_rows(gated_bar * saved.filters, batch.source.clone(), batch.n_atoms);
        let hidden_bar = self.scalar_out.adjoint(sent_bar) * scaled_silu_derivative(saved.hidden);
        let scalar = scalar_bar + self.norm.adjoint(&saved.norm, self.scalar_in.adjoint(hidden_bar));
        MessageAdjoint { radial, direction: direction_bar, scalar, vector }
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
