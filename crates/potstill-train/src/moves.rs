//! What everything that moves atoms needs.

use potstill_core::System;
use potstill_core::graph::{GraphRule, Neighbors};
use rand::{Rng, RngExt};

/// A standard normal number (Box–Muller).
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Whether all positions are numbers and no two atoms are closer than `min_distance` in Å, images included.
pub(crate) fn is_apart(system: &System, min_distance: f64) -> bool {
    if !system.positions.as_flattened().iter().all(|x| x.is_finite()) {
        return false;
    }
    let rule = GraphRule { cutoff: min_distance, neighbors: Neighbors::All, symmetric: false };
    // Two atoms at one place are an error of the graph.
    min_distance == 0.0 || rule.build(&[system]).is_ok_and(|graph| graph.n_edges() == 0)
}
