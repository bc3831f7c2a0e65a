//! Neighbour graphs of batches of systems.
//!
//! [`GraphRule::build`] finds all pairs within a cutoff in time linear in the number of atoms, for any cell and any
//! mix of periodic and free directions, and keeps the edges that the rule asks for:
//!
//! | file | what it holds |
//! |---|---|
//! | `frame` | the periodic directions completed to a basis; heights, fractional coordinates |
//! | `cell_list` | atoms sorted into bins; candidates around one atom |
//! | `search` | from candidates to edges of one system: exact distances, the rules, threads |
//! | `edges` | the edge arrays of one system, symmetrisation |
//! | `build` | batches: drawn from systems, joined from graphs |
//! | `neighbor_list` | the same edges from call to call, with a skin |
//! | `network` | the graph that a network asks for |
//! | `reverse` | reverse edges, edges of each target, distances |
//! | `check` | what is refused before any work is done |
//! | [`gemnet`] | the four graphs of GemNet-OC, its triplets and quadruplets |
//!
//! Departures from the Open Catalyst Project (OCP) code, whose nearest-k rule and symmetrisation this follows:
//! - OCP never reads `pbc` and makes no images along the third lattice vector. Here each axis obeys its `pbc` flag.
//! - OCP does not wrap positions, so that an atom written outside its cell loses edges, depending on batch mates.
//!   Here positions are wrapped internally and a system's edges never depend on its batch.
//! - OCP silently drops pairs closer than 0.01 Å. Here only the atom itself is dropped; two atoms (or two images)
//!   within 1e-4 Å of each other are an error.
//! - OCP leaves ties at rank k to an unstable sort. Here the smaller source wins, then the smaller shift.

mod build;
mod cell_list;
mod check;
mod edges;
pub mod frame;
pub mod gemnet;
mod neighbor_list;
mod network;
mod reverse;
mod search;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::neighbor_list::{Neighbor, NeighborList};
pub use self::network::{NetworkGraph, NetworkGraphRule};
use crate::system::Vec3;

/// Choice of the pairs within the cutoff that become edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbors {
    /// Every pair within the cutoff: smooth in the positions, the default.
    #[default]
    All,
    /// At most that many nearest sources per target, the rule of OCP: not smooth, for parity with its checkpoints.
    ///
    /// Of equally distant sources the one with the smaller index stays, then the one with the smaller shift.
    Nearest(usize),
}

/// Rule by which the graph of a system is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphRule {
    /// Largest length of an edge in Å, inclusive.
    pub cutoff: f64,
    /// Choice of the pairs within the cutoff that become edges.
    pub neighbors: Neighbors,
    /// Whether `Nearest` is followed by OCP's symmetrisation: a pair is kept, in both directions, if it is among the
    /// nearest of its endpoint with the higher index (of an atom and its own image: if the edge with the
    /// lexicographically negative shift is kept). Degrees may then differ from `k`. `All` is symmetric by itself.
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
