//! PaiNN's messages in plain tensor operations, for backends without the fused operation: arrays with a row for each edge.

use burn::tensor::Tensor;

use super::columns;
use crate::batch::Batch;
use crate::ops::MessageGradients;
use crate::tensors::{gather_rows, sum_rows};

/// Filters `W r` of each edge, or their slopes. Shape: `[n_edges, 3h]`.
pub(super) fn edge_filters(radial: &Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    radial.clone().matmul(weight.clone().transpose())
}

/// Rows of each edge that the adjoint reads.
#[derive(Debug, Clone)]
pub(super) struct EdgeRows {
    /// `x` of the source. Shape: `[n_edges, 3h]`.
    sent: Tensor<2>,
    /// Shape: `[n_edges, 3h]`.
    filters: Tensor<2>,
    /// Vectors of the source; none in the first layer. Shape: `[n_edges, 3h]`.
    vector: Option<Tensor<2>>,
}

/// Factor of the weights of vectors, `1/√3`.
fn vector_factor() -> f64 {
    1.0 / 3.0_f64.sqrt()
}

/// Sums of the messages at each atom, of shapes `[n_atoms, h]` and `[n_atoms, 3h]`. `radial` are the radial functions of each edge, of
/// shape `[n_edges, n_radial]`, and `weight` has shape `[3h, n_radial]`.
pub(super) fn message_sums(
    batch: &Batch,
    radial: &Tensor<2>,
    sent: Tensor<2>,
    vector: Option<Tensor<2>>,
    weight: Tensor<2>,
) -> (Tensor<2>, Tensor<2>, EdgeRows) {
    let h = sent.dims()[1] / 3;
    let sent = gather_rows(sent, &batch.source);
    let vector = vector.map(|v| gather_rows(v, &batch.source));
    let filters = if batch.n_edges == 0 { sent.clone() } else { radial.clone().matmul(weight.transpose()) };
    let gated = sent.clone() * filters.clone();
    let scalar_sum = sum_rows(columns(&gated, 0, h), &batch.target, batch.n_atoms);
    let vector_sum = sum_rows(vector_messages(batch, &gated, vector.clone()), &batch.target, batch.n_atoms);
    (scalar_sum, vector_sum.mul_scalar(1.0 / (h as f64).sqrt()), EdgeRows { sent, filters, vector })
}

/// Messages `v_s ⊙ b/√3 + direction ⊗ c` of each edge. Shape: `[n_edges, 3h]`.
fn vector_messages(batch: &Batch, gated: &Tensor<2>, vector: Option<Tensor<2>>) -> Tensor<2> {
    let (n, h) = (batch.n_edges, gated.dims()[1] / 3);
    if n == 0 {
        return batch.zeros([0, 3 * h]);
    }
    let along = columns(gated, 2, h).reshape([n, 1, h]) * batch.direction.clone().reshape([n, 3, 1]);
    let messages = match vector {
        Some(rows) => {
            let weight = columns(gated, 1, h).reshape([n, 1, h]).mul_scalar(vector_factor());
            along + rows.reshape([n, 3, h]) * weight
        }
        None => along,
    };
    messages.reshape([n, 3 * h])
}

/// Adjoint of [`message_sums`], given the gradients of the sums; `slopes` are the derivatives of the radial functions with respect to
/// the distance.
pub(super) fn message_gradients(
    batch: &Batch,
    slopes: Option<&Tensor<2>>,
    rows: EdgeRows,
    scalar_gradient: Tensor<2>,
    vector_gradient: Tensor<2>,
    weight: Tensor<2>,
) -> MessageGradients {
    let (n, h) = (batch.n_edges, scalar_gradient.dims()[1]);
    let scalar_edge = gather_rows(scalar_gradient, &batch.target);
    let vector_edge = vector_gradient.mul_scalar(1.0 / (h as f64).sqrt());
    let vector_edge = gather_rows(vector_edge, &batch.target).reshape([n, 3, h]);

    let gated = rows.sent.clone() * rows.filters.clone();
    let direction = batch.direction.clone().reshape([n, 3, 1]);
    let along = columns(&gated, 2, h).reshape([n, 1, h]);
    let along_gradient = (vector_edge.clone() * direction).sum_dim(1).reshape([n, h]);
    let direction = (vector_edge.clone() * along).sum_dim(2).reshape([n, 3]);
    let (weight_gradient, vector) = source_vectors(batch, &gated, rows.vector, vector_edge);

    let gated_gradient = Tensor::cat(vec![scalar_edge, weight_gradient, along_gradient], 1);
    let radial_gradient = (gated_gradient.clone() * rows.sent).matmul(weight);
    let distance = match slopes {
        Some(slopes) => (radial_gradient * slopes.clone()).sum_dim(1),
        None => batch.zeros([n, 1]),
    };
    let sent = sum_rows(gated_gradient * rows.filters, &batch.source, batch.n_atoms);
    MessageGradients { sent, vector, distance, direction }
}

/// Gradients with respect to the weights of the sources' vectors and to these vectors.
fn source_vectors(
    batch: &Batch,
    gated: &Tensor<2>,
    vector: Option<Tensor<2>>,
    vector_edge: Tensor<3>,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let (n, h) = (batch.n_edges, gated.dims()[1] / 3);
    let Some(rows) = vector else { return (batch.zeros([n, h]), None) };
    let weight = columns(gated, 1, h).reshape([n, 1, h]).mul_scalar(vector_factor());
    let along_rows = vector_edge.clone() * rows.reshape([n, 3, h]);
    let weight_gradient = along_rows.sum_dim(1).reshape([n, h]).mul_scalar(vector_factor());
    let rows_gradient = (vector_edge * weight).reshape([n, 3 * h]);
    (weight_gradient, Some(sum_rows(rows_gradient, &batch.source, batch.n_atoms)))
}
