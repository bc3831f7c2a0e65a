//! An interaction block of SchNet (paper, section 4.2) and its adjoint.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::layers::Dense;
use crate::layers::activation::{shifted_softplus, shifted_softplus_derivative};
use crate::layers::scatter::{gather_rows, sum_rows};
use crate::ops::{FilteredEdges, LengthBasis, convolve, convolve_adjoint, edge_filters};

/// One interaction block.
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

/// What filters are functions of, for all blocks.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each batch, never in an array")]
pub(super) enum Expansion {
    /// For the fused operations: a row for each length that an edge has.
    Lengths { edges: Arc<FilteredEdges>, basis: LengthBasis },
    /// A row for each edge, of the Gaussians and of the cutoff function.
    Edges { gaussians: Tensor<2>, cutoff: Tensor<2>, slopes: Option<Slopes> },
}

/// Derivatives of an expansion with respect to the distance.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    pub gaussians: Tensor<2>,
    pub cutoff: Tensor<2>,
}

/// What the adjoint of one block needs of its forward pass.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    message: Tensor<2>,
    sent: Option<Sent>,
}

/// What was sent: to atoms at once, or along edges.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one for each block, beside arrays a thousand times as large")]
enum Sent {
    Fused { sent: Tensor<2>, filters: Tensor<2> },
    Plain { filter_hidden: Tensor<2>, raw_filters: Tensor<2>, source_rows: Tensor<2> },
}

/// Gradients that a block hands back.
pub(super) struct BlockAdjoint {
    /// Of the distance of each edge. Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
    /// Of what the atoms sent. Shape: `[n_atoms, n_filters]`.
    pub sent: Tensor<2>,
}

impl Interaction {
    /// The block's change of `node`, and what its adjoint needs.
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
            Expansion::Edges { gaussians, cutoff, .. } => {
                let filter_hidden = self.filter_in.forward(gaussians.clone());
                let raw_filters = self.filter_out.forward(shifted_softplus(filter_hidden.clone()));
                let source_rows = gather_rows(sent, batch.source.clone());
                let messages = source_rows.clone() * (raw_filters.clone() * cutoff.clone());
                let summed = sum_rows(messages, batch.target.clone(), batch.n_atoms);
                (summed, Some(Sent::Plain { filter_hidden, raw_filters, source_rows }))
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
        output_bar: Tensor<2>,
    ) -> BlockAdjoint {
        let message_bar = self.output.adjoint(output_bar) * shifted_softplus_derivative(saved.message);
        let summed_bar = self.message.adjoint(message_bar);
        match (saved.sent, expansion) {
            (Some(Sent::Fused { sent, filters }), Expansion::Lengths { edges, .. }) => {
                let (sent, distance) = convolve_adjoint([&summed_bar, &sent, &filters], edges)
                    .unwrap_or_else(|| unreachable!("made for the CPU"));
                BlockAdjoint { distance, sent }
            }
            (
                Some(Sent::Plain { filter_hidden, raw_filters, source_rows }),
                Expansion::Edges { cutoff, slopes: Some(slopes), .. },
            ) => {
                let edge_bar = gather_rows(summed_bar, batch.target.clone());
                let filters_bar = edge_bar.clone() * source_rows;
                let rows_bar = edge_bar * (raw_filters.clone() * cutoff.clone());
                let sent = sum_rows(rows_bar, batch.source.clone(), batch.n_atoms);
                let cutoff_bar = (filters_bar.clone() * raw_filters).sum_dim(1);
                let raw_bar = filters_bar * cutoff.clone();
                let hidden_bar = self.filter_out.adjoint(raw_bar) * shifted_softplus_derivative(filter_hidden);
                let along_basis = (self.filter_in.adjoint(hidden_bar) * slopes.gaussians.clone()).sum_dim(1);
                BlockAdjoint { distance: along_basis + cutoff_bar * slopes.cutoff.clone(), sent }
            }
            _ => unreachable!("both from one forward pass with edges and forces"),
        }
    }
}
