//! Stand-ins for PaiNN's messages on graphics processors in a build without them.

use burn::tensor::Tensor;

use super::MessageGradients;
use crate::tensors::RowIndex;

/// Edges of a batch.
#[derive(Debug, Clone, Copy)]
pub struct GpuEdges<'a> {
    /// Source of each edge.
    pub source: &'a RowIndex,
    /// Target of each edge.
    pub target: &'a RowIndex,
    /// Unit vectors from target to source. Shape: `[n_edges, 3]`.
    pub direction: &'a Tensor<2>,
}

/// Nothing: messages are plain operations.
pub fn messages_on_gpu(
    _edges: GpuEdges<'_>,
    _sent: &Tensor<2>,
    _vector: &Tensor<2>,
    _filters: &Tensor<2>,
) -> Option<Tensor<2>> {
    None
}

/// Nothing: messages are plain operations.
pub fn messages_adjoint_on_gpu(
    _edges: GpuEdges<'_>,
    _gradients: [&Tensor<2>; 2],
    _inputs: [&Tensor<2>; 2],
    _filters: [&Tensor<2>; 2],
) -> Option<MessageGradients> {
    None
}
