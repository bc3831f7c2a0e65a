//! Neighbours of neighbours as padded tables, so that sums over them are small dense products.
//!
//! Row `o` of an [`InputTable`] lists the inputs of one output in `width` slots; slots beyond the last input point at row 0 and
//! carry a basis of zeros.

mod build;

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::ops::HostInputs;
use crate::tensors::{RowIndex, gather_rows, to_host};

/// Edges beside the main graph.
#[derive(Debug, Clone)]
pub struct EdgeTable {
    /// Number of edges.
    pub n_edges: usize,
    /// Source atom of each edge. Shape: `[n_edges]`.
    pub source: RowIndex,
    /// Length of each edge in Å. Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
}

/// Inputs of each output.
#[derive(Debug, Clone)]
pub struct InputTable {
    /// Number of outputs.
    pub n: usize,
    /// Slots of each output.
    pub width: usize,
    /// Input of each slot. Shape: `[n · width]`.
    pub input: RowIndex,
    /// 1 where a slot is taken, else 0. Shape: `[n, 1, width]`.
    pub taken: Tensor<3>,
    /// Inputs on the host.
    pub host: Arc<HostInputs>,
}

impl InputTable {
    /// `Σ_inputs basis ⊗ x`. Shape: `[n, s, width]` and `[n_inputs, c]` to `[n, s, c]`.
    pub fn outer_sum(&self, basis: &Tensor<3>, x: Tensor<2>) -> Tensor<3> {
        let channels = x.dims()[1];
        let rows = gather_rows(x, &self.input).reshape([self.n, self.width, channels]);
        basis.clone().matmul(rows)
    }

    /// Rows of taken slots only. Shape: `[n · width, c]` to `[n_inputs, c]`.
    pub(crate) fn taken_rows(&self, x: Tensor<2>) -> Tensor<2> {
        let taken = to_host(&self.taken).into_iter().enumerate().filter(|(_, t)| *t > 0.0);
        let rows = taken.map(|(slot, _)| slot as i32).collect();
        gather_rows(x, &RowIndex::new(rows, &self.taken.device()))
    }

    /// Whether there is nothing to sum.
    pub fn is_empty(&self) -> bool {
        self.n * self.width == 0
    }
}

/// Inputs with the angle between output and input.
#[derive(Debug, Clone)]
pub struct AngleTable {
    /// Inputs of each output.
    pub inputs: InputTable,
    /// Cosine of the angle of each slot. Shape: `[n, 1, width]`.
    pub cosine: Tensor<3>,
}

/// Edges of each atom, and triplets that end in them.
#[derive(Debug, Clone)]
pub struct AtomTable {
    /// Edges of each atom.
    pub edges: InputTable,
    /// Main edges of each slot of `edges`, with angles.
    pub triplets: AngleTable,
}

/// Quadruplets `c → a ← b ← d`, grouped so that sums over `d` and over `b` are done one after the other.
#[derive(Debug, Clone)]
pub struct QuadrupletTables {
    /// Lengths of the inner edges `b → a` in Å. Shape: `[n_inner, 1]`.
    pub inner_distance: Tensor<2>,
    /// Main edges `d → b` of each inner edge, with the angle at `b`.
    pub incoming: AngleTable,
    /// Inner edges `b → a` of each main edge `c → a`, with the angle at `a`.
    pub outgoing: AngleTable,
    /// Dihedral angle in [0, π] for each slot of `outgoing` and each slot of `incoming`. Shape: `[n·width, 1, width']`.
    pub dihedral: Tensor<3>,
    /// 1 where the four atoms form a quadruplet, else 0. Same shape.
    pub taken: Tensor<3>,
}

impl QuadrupletTables {
    /// Rows that quadruplets read, gathered from the slots of `incoming`.
    pub(crate) fn quadruplet_rows(&self, x: Tensor<2>) -> Tensor<2> {
        let width = self.incoming.inputs.width;
        let inner = &self.outgoing.inputs.host.input;
        let taken = to_host(&self.taken).into_iter().enumerate().filter(|(_, t)| *t > 0.0);
        let rows = taken.map(|(slot, _)| inner[slot / width] as i32 * width as i32 + (slot % width) as i32).collect();
        gather_rows(x, &RowIndex::new(rows, &self.taken.device()))
    }
}

/// Input of GemNet-OC beside the main graph.
#[derive(Debug, Clone)]
pub struct GemNetTables {
    /// Reverse of each main edge. Shape: `[n_edges]`.
    pub reverse: RowIndex,
    /// Triplets of main edges.
    pub edge_to_edge: AngleTable,
    /// Edges between atoms and edges.
    pub atom_edge: Option<EdgeTable>,
    /// Atom–edge edges into the target of each main edge.
    pub atom_to_edge: Option<AngleTable>,
    /// Atom–edge edges of each atom, and the main edges into their targets.
    pub edge_to_atom: Option<AtomTable>,
    /// Edges between atoms, and those of each atom.
    pub atom_to_atom: Option<(EdgeTable, InputTable)>,
    /// Quadruplets.
    pub quadruplets: Option<QuadrupletTables>,
}
