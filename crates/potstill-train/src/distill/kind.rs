//! Kinds of features, and their widths in a network.

use potstill_core::model::{Architecture, Tap};
use serde::{Deserialize, Serialize};

/// Kind of a teacher's features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Scalar features of atoms.
    Node,
    /// Edge features, summed over the edges into each atom.
    EdgeSum,
    /// Vector features of atoms.
    Vector,
    /// Features of edges.
    Edge,
}

impl Kind {
    /// Name of the kind in the names of tensors.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::EdgeSum => "edge_sum",
            Self::Vector => "vector",
            Self::Edge => "edge",
        }
    }

    /// Name of the tensor that holds such features.
    pub(super) fn tensor(self, tap: Tap) -> String {
        format!("{}.{tap}", self.key())
    }

    /// Channels of a teacher's features at one tap.
    pub(super) fn teacher_channels(self, teacher: &Architecture) -> usize {
        if self == Self::Node { teacher.node_channels() } else { reduced_channels(teacher) }
    }

    /// Channels of a student's features at one tap. Scalar features stand for the teacher's summed edge features.
    pub(super) fn student_channels(self, student: &Architecture) -> usize {
        match self {
            Self::Node | Self::EdgeSum => student.node_channels(),
            Self::Vector | Self::Edge => reduced_channels(student),
        }
    }
}

/// Width of edge features, or of the scalar features of a network without edge features.
pub(super) fn reduced_channels(model: &Architecture) -> usize {
    model.edge_channels().unwrap_or(model.node_channels())
}
