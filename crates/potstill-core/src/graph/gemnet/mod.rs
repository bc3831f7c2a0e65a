//! The four graphs of GemNet-OC, and the triplets and quadruplets of their edges.
//!
//! [`GemNetRule::build`] draws one wide radius graph per system, cuts the narrower ones out of it, and lists which
//! edges meet; [`GemNetGraph::angles`] says at which angles they do.
//!
//! | file | what it holds |
//! |---|---|
//! | `rule` | cutoffs and numbers of neighbours; what is refused |
//! | `select` | sub-selection of edges: by length and rank, by the tags of their atoms |
//! | `edge_set` | directed edges that carry no batch |
//! | `runs` | side-by-side candidates with one left out, from which every list is written |
//! | `triplets` | pairs of edges that meet at an atom |
//! | `quadruplets` | paths `d -> b -> a <- c` |
//! | `build` | systems to graphs, in parallel |
//! | `concatenate` | graphs to a batch |
//! | `angles` | cosines and dihedral angles |
//!
//! The architecture: Gasteiger et al., *GemNet-OC: Developing Graph Neural Networks for Large and Diverse Molecular
//! Simulation Datasets*, TMLR 2022, arXiv:2204.02782. An edge carries a message from `source` to `target`; below,
//! `c -> a` is always an edge whose message is being updated.
//!
//! Departures from the reference implementation (OCP), beyond those of [`graph`](super):
//! - OCP stores the negated shift and the unit vector from source to target. Here both follow
//!   [`Graph`]: shift and displacement point from target to source. Every angle is made of products of
//!   two vectors and is the same.
//! - Free molecules in OCP are cut to the first 1000 neighbours met. Here always the nearest are kept.
//! - OCP fails on batches without triplets or quadruplets. Here their lists are empty.
//! - OCP needs tags. Here a system without tags counts as adsorbate (tag 2) altogether, so that molecules of any
//!   origin have quadruplets.

mod angles;
mod build;
mod concatenate;
mod edge_set;
mod quadruplets;
mod rule;
mod runs;
mod select;
#[cfg(test)]
mod tests;
mod triplets;

pub use angles::{GemNetAngles, QuadrupletAngles};
pub use edge_set::EdgeSet;
pub use quadruplets::Quadruplets;
pub use rule::GemNetRule;
pub use runs::offsets;
pub use triplets::Triplets;

use super::Graph;

/// Edges of a batch of systems, and which of them meet. Edges are named by their index in their own graph.
///
/// What the rule did not ask for is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GemNetGraph {
    /// The edges that carry embeddings, symmetric: each has its reverse.
    pub main: Graph,
    /// Index of the reverse of each main edge. Shape: `[n_main]`.
    pub reverse: Vec<u32>,
    /// Widest graph, for messages between atoms.
    pub a2a: Option<EdgeSet>,
    /// Edges of messages between atoms and main edges.
    pub a2ee2a: Option<EdgeSet>,
    /// Middle edges `b -> a` of quadruplets.
    pub qint: Option<EdgeSet>,
    /// Main edges `b -> a` (input) into main edges `c -> a` (output).
    pub e2e: Triplets,
    /// Edges `b -> a` of `a2ee2a` (input) into main edges `c -> a` (output).
    pub a2e: Option<Triplets>,
    /// Main edges `b -> a` (input) into edges `c -> a` of `a2ee2a` (output).
    pub e2a: Option<Triplets>,
    /// Paths `d -> b -> a <- c`.
    pub quadruplets: Option<Quadruplets>,
}
