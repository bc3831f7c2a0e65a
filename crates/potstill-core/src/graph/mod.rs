//! Neighbour graphs of batches of systems.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::system::{System, Vec3};

/// Which pairs within the cutoff become edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbors {
    /// Every pair within the cutoff: smooth in the positions, the default.
    #[default]
    All,
    /// At most that many nearest sources per target, the reference's rule (SPEC §1.1): not smooth, for parity.
    Nearest(usize),
}

/// How to draw the graph of a system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphRule {
    /// Largest length of an edge in Å.
    pub cutoff: f64,
    /// Which pairs within the cutoff become edges.
    pub neighbors: Neighbors,
    /// Whether `Nearest` is followed by symmetrisation (SPEC §1.3). `All` is symmetric by itself.
    pub symmetric: bool,
}

/// Directed edges of a batch of systems, sorted by target, then source, then shift.
///
/// An edge carries a message from `source` to `target`; atoms of all systems are numbered through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// First atom of each system, and the total at the end. Shape: `[n_systems + 1]`.
    pub system_offsets: Vec<usize>,
    /// System of each atom. Shape: `[n_atoms]`.
    pub system_index: Vec<u32>,
    /// Nuclear charges. Shape: `[n_atoms]`.
    pub atomic_numbers: Vec<u8>,
    /// Source atom of each edge. Shape: `[n_edges]`.
    pub source: Vec<u32>,
    /// Target atom of each edge, ascending. Shape: `[n_edges]`.
    pub target: Vec<u32>,
    /// Lattice translation added to the source, for positions as given (not wrapped). Shape: `[n_edges, 3]`.
    pub shifts: Vec<[i32; 3]>,
    /// `positions[source] - positions[target] + shifts · cell` in Å. Shape: `[n_edges, 3]`.
    pub displacement: Vec<Vec3>,
}

impl Graph {
    /// Number of systems in the batch.
    pub fn n_systems(&self) -> usize {
        self.system_offsets.len().saturating_sub(1)
    }

    /// Number of atoms of all systems.
    pub fn n_atoms(&self) -> usize {
        self.atomic_numbers.len()
    }

    /// Number of directed edges.
    pub fn n_edges(&self) -> usize {
        self.source.len()
    }
}

impl GraphRule {
    /// Draws the graph of `systems` as one batch; the same edges as for each system alone.
    ///
    /// # Errors
    /// Cutoff that is not positive and finite, non-finite position, periodic system without a cell or with zero
    /// volume: names the system by its index.
    pub fn build(&self, systems: &[&System]) -> Result<Graph> {
        Err(crate::Error::Other(format!("no graph for {} systems yet", systems.len())))
    }
}
