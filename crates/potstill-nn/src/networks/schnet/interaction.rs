//! An interaction block of SchNet (paper, section 4.2) and its adjoint.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::plain::{self, EdgeBasis, EdgeRows};
use crate::batch::Batch;
use crate::layers::Dense;
use crate::ops::{FilteredEdges, LengthBasis, convolve, convolve_adjoint, edge_filters};
use crate::tensors::{shifted_softplus, shifted_softplus_derivative};

/// Interaction block.
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

/// Arguments of the filters, for all blocks.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each batch, never in an array")]
pub(super) enum Expansion {
    /// Gaussians and cutoff function with a row for each length that an edge has, for the fused operations.
    Lengths { edges: Arc<FilteredEdges>, basis: LengthBasis },
    /// Gaussians and cutoff function with a row for each edge.
    Edges(EdgeBasis),
}

/// Intermediates of a block's forward pass that its adjoint reads.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    message: Tensor<2>,
    sent: Option<Sent>,
}

/// Intermediates of the convolution: of the fused operation, or with a row for each edge.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each block, beside arrays a thousand times as large")]
enum Sent {
    Fused { sent: Tensor<2>, filters: Tensor<2> },
    Plain(EdgeRows),
}

/// Gradients with respect to a block's inputs.
pub(super) struct BlockAdjoint {
    /// Gradient with respect to the distance of each edge. Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
    /// Gradient with respect to the rows that atoms sent. Shape: `[n_atoms, n_filters]`.
    pub sent: Tensor<2>,
}

impl Interaction {
    /// Change of `node` by the block, and intermediates for its adjoint.
    pub(super) fn forward(&self, batch: &Batch, expansion: &Expansion, node: &Tensor<2>) -> (Tensor<2>, Saved) {
        let (summed, sent) = self.convolution(batch, expansion, node);
        let message = self.message.forward(summed);
        let update = self.output.forward(shifted_softplus(message.clone()));
        (update, Saved { message, sent })
    }

    fn convolution(&self, batch: &Batch, expansion: &Expansion, node: &Tensor<2>) -> (Tensor<2>, Option<Sent>) {
        if batch.n_edges == 0 {
            return (batch.zeros([batch.n_atoms, self.source.weight.val().dims()[0]]), None);
        }
        let sent = self.source.forward(node.clone());
        match expansion {
            Expansion::Lengths { edges, basis } => {
                let filters = self.fused_filters(basis);
                let summed = convolve(&sent, &filters, edges).unwrap_or_else(|| unreachable!("made for the CPU"));
                (summed, Some(Sent::Fused { sent, filters }))
            }
            Expansion::Edges(basis) => {
                let (summed, rows) = plain::convolve([&self.filter_in, &self.filter_out], batch, basis, sent);
                (summed, Some(Sent::Plain(rows)))
            }
        }
    }

    fn fused_filters(&self, basis: &LengthBasis) -> Tensor<2> {
        let layers = [&self.filter_in, &self.filter_out];
        let weights = layers.map(|layer| layer.weight.val());
        let biases = layers.map(|layer| match &layer.bias {
            Some(bias) => bias.val(),
            None => unreachable!("filter layers have biases"),
        });
        edge_filters(basis, weights.each_ref(), biases.each_ref()).unwrap_or_else(|| unreachable!("made for the CPU"))
    }

    /// Gradients with respect to distances and to what was sent, given that of the block's output. There must be edges, and the
    /// expansion must have derivatives.
    pub(super) fn adjoint(
        &self,
        batch: &Batch,
        expansion: &Expansion,
        saved: Saved,
        output_gradient: Tensor<2>,
    ) -> BlockAdjoint {
        let message_gradient = self.output.adjoint(output_gradient) * shifted_softplus_derivative(saved.message);
        let summed_gradient = self.message.adjoint(message_gradient);
        match (saved.sent, expansion) {
            (Some(Sent::Fused { sent, filters }), Expansion::Lengths { edges, .. }) => {
                let (sent, distance) = convolve_adjoint([&summed_gradient, &sent, &filters], edges)
                    .unwrap_or_else(|| unreachable!("made for the CPU"));
                BlockAdjoint { distance, sent }
            }
            (Some(Sent::Plain(rows)), Expansion::Edges(basis)) => {
                let layers = [&self.filter_in, &self.filter_out];
                let (distance, sent) = plain::convolve_adjoint(layers, batch, basis, rows, summed_gradient);
                BlockAdjoint { distance, sent }
            }
            _ => unreachable!("both from one forward pass with edges and forces"),
        }
    }
}
