//! Displaced copies of systems, and the check that atoms have not come too close to each other.

use potstill_core::System;
use potstill_core::graph::{GraphRule, Neighbors};

/// Distance in Å below which two atoms are at one place.
pub(crate) const MEET: f64 = 1e-6;

/// Whether all positions are numbers and no two atoms are closer than `min_distance` in Å, images included.
pub(crate) fn is_apart(system: &System, min_distance: f64) -> bool {
    if !system.positions.as_flattened().iter().all(|x| x.is_finite()) {
        return false;
    }
    let rule = GraphRule { cutoff: min_distance, neighbors: Neighbors::All, symmetric: false };
    // Two atoms at one place are an error of the graph.
    min_distance == 0.0 || rule.build(&[system]).is_ok_and(|graph| graph.n_edges() == 0)
}

/// Copy of a system with its free atoms moved, without labels.
pub(crate) fn displaced(system: &System, displacement: &[[f64; 3]]) -> System {
    let mut copy = System { energy: None, forces: None, stress: None, ..system.clone() };
    for (atom, (position, d)) in copy.positions.iter_mut().zip(displacement).enumerate() {
        if system.is_free(atom) {
            *position = std::array::from_fn(|c| position[c] + d[c]);
        }
    }
    copy
}
