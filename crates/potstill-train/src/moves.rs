//! Check that displaced atoms have not come too close to each other.

use potstill_core::System;
use potstill_core::graph::{GraphRule, Neighbors};

/// Whether all positions are numbers and no two atoms are closer than `min_distance` in Å, images included.
pub(crate) fn is_apart(system: &System, min_distance: f64) -> bool {
    if !system.positions.as_flattened().iter().all(|x| x.is_finite()) {
        return false;
    }
    let rule = GraphRule { cutoff: min_distance, neighbors: Neighbors::All, symmetric: false };
    // Two atoms at one place are an error of the graph.
    min_distance == 0.0 || rule.build(&[system]).is_ok_and(|graph| graph.n_edges() == 0)
}
