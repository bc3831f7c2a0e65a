//! SchNet's convolution in plain tensor operations, for backends without the fused operation: arrays with a row for each edge.

use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::layers::Dense;
use crate::tensors::{gather_rows, shifted_softplus, shifted_softplus_derivative, sum_rows};

/// Gaussians and cutoff function of each edge, with derivatives with respect to the distance where forces need them.
#[derive(Debug, Clone)]
pub(super) struct EdgeBasis {
    /// Shape: `[n_edges, n_gaussians]`.
    pub gaussians: Tensor<2>,
    /// Shape: `[n_edges, 1]`.
    pub cutoff: Tensor<2>,
    /// Derivatives of both, of the same shapes.
    pub slopes: Option<[Tensor<2>; 2]>,
}

/// Rows of each edge that the adjoint reads.
#[derive(Debug, Clone)]
pub(super) struct EdgeRows {
    filter_hidden: Tensor<2>,
    raw_filters: Tensor<2>,
    source: Tensor<2>,
}

/// Sums over the edges into each atom of the sources' rows times the filter. Shape: `[n_atoms, n_filters]`.
pub(super) fn convolve(
    [filter_in, filter_out]: [&Dense; 2],
    batch: &Batch,
    basis: &EdgeBasis,
    sent: Tensor<2>,
) -> (Tensor<2>, EdgeRows) {
    let filter_hidden = filter_in.forward(basis.gaussians.clone());
    let raw_filters = filter_out.forward(shifted_softplus(filter_hidden.clone()));
    let source = gather_rows(sent, &batch.source);
    let messages = source.clone() * (raw_filters.clone() * basis.cutoff.clone());
    let sums = sum_rows(messages, &batch.target, batch.n_atoms);
    (sums, EdgeRows { filter_hidden, raw_filters, source })
}

/// Adjoint of [`convolve`], given the gradient of the sums: gradients with respect to the distances and to the sources' rows. The basis
/// must have derivatives.
pub(super) fn convolve_adjoint(
    [filter_in, filter_out]: [&Dense; 2],
    batch: &Batch,
    basis: &EdgeBasis,
    rows: EdgeRows,
    sum_gradient: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let Some([gaussian_slopes, cutoff_slopes]) = basis.slopes.clone() else {
        unreachable!("made with derivatives where forces are wanted")
    };
    let edge_gradient = gather_rows(sum_gradient, &batch.target);
    let filters_gradient = edge_gradient.clone() * rows.source;
    let rows_gradient = edge_gradient * (rows.raw_filters.clone() * basis.cutoff.clone());
    let sent = sum_rows(rows_gradient, &batch.source, batch.n_atoms);
    let cutoff_gradient = (filters_gradient.clone() * rows.raw_filters).sum_dim(1);
    let raw_gradient = filters_gradient * basis.cutoff.clone();
    let hidden_gradient = filter_out.adjoint(raw_gradient) * shifted_softplus_derivative(rows.filter_hidden);
    let along_basis = (filter_in.adjoint(hidden_gradient) * gaussian_slopes).sum_dim(1);
    (along_basis + cutoff_gradient * cutoff_slopes, sent)
}
