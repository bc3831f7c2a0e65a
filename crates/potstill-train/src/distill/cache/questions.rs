//! What a cache can hold: labels, features of taps, derivatives of forces.

use potstill_core::Precision;
use potstill_core::model::Tap;
use serde::{Deserialize, Serialize};

use crate::distill::probes::Probes;

/// A kind of feature that a cache holds.
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
    pub(in crate::distill) fn tensor(self, tap: Tap) -> String {
        format!("{}.{tap}", self.key())
    }
}

/// Which labels a teacher gives for every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// Energies of systems. Default true.
    pub energy: bool,
    /// Forces. Default true.
    pub forces: bool,
    /// Energies of atoms. Default true.
    pub atomic_energies: bool,
    /// How far several teachers are apart in energies and forces. Default false.
    pub spread: bool,
}

impl Default for Holds {
    fn default() -> Self {
        Self { energy: true, forces: true, atomic_energies: true, spread: false }
    }
}

/// Features of one tap that a cache holds or shall hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where in the teacher.
    pub tap: Tap,
    /// Which of its features.
    pub kinds: Vec<Kind>,
}

impl Wanted {
    /// Joins what is wanted at the same tap.
    pub fn add(all: &mut Vec<Self>, tap: Tap, kinds: &[Kind]) {
        let own = match all.iter().position(|w| w.tap == tap) {
            Some(i) => i,
            None => {
                all.push(Self { tap, kinds: Vec::new() });
                all.len() - 1
            }
        };
        for kind in kinds {
            if !all[own].kinds.contains(kind) {
                all[own].kinds.push(*kind);
            }
        }
    }
}

/// What is wanted of a teacher beside energies and forces.
#[derive(Debug, Clone, PartialEq)]
pub struct Questions {
    /// Features.
    pub features: Vec<Wanted>,
    /// Derivatives of the forces.
    pub probes: Option<Probes>,
    /// Precision of the features; energies are always stored in f64, forces at least in f32.
    pub precision: Precision,
}

impl Default for Questions {
    fn default() -> Self {
        Self { features: Vec::new(), probes: None, precision: Precision::F16 }
    }
}
