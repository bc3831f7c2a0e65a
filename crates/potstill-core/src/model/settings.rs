//! Facts about a network that follow from its settings alone, and checks that all settings share.

use super::{Forces, Tap};
use crate::graph::{Neighbors, NetworkGraphRule};
use crate::{Error, Result, limits};

/// Facts about a network that follow from its settings alone.
pub trait NetworkSettings {
    /// Name as its authors write it.
    fn name(&self) -> &'static str;

    /// Checks that a network can be built, before anything of its size is allocated.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    fn validate(&self) -> Result<()>;

    /// Number of weights; a real number, since sizes that a file claims may be absurd.
    fn n_parameters(&self) -> f64;

    /// Estimated count of numbers that a training step saves for each edge between its two passes.
    fn saved_numbers_per_edge(&self) -> usize;

    /// Rule by which graphs for this network are drawn.
    fn graph_rule(&self) -> NetworkGraphRule;

    /// Source of this network's forces.
    fn forces(&self) -> Forces;

    /// Largest atomic number that the embedding holds.
    fn max_atomic_number(&self) -> u8;

    /// Places where features can be taken, first to last.
    fn taps(&self) -> Vec<Tap>;

    /// Width of the scalar features at every tap.
    fn node_channels(&self) -> usize;

    /// Width of edge and vector features at every tap; `None` for a network without them.
    fn edge_channels(&self) -> Option<usize>;
}

/// Checks `model.cutoff` in Å.
pub(super) fn check_cutoff(cutoff: f64) -> Result<()> {
    limits::cutoff_complaint(cutoff).map_or(Ok(()), |complaint| Err(Error::setting("model.cutoff", complaint)))
}

/// Checks `model.neighbors`: `{ nearest = 0 }` would leave no edge at all.
pub(super) fn check_neighbors(neighbors: Neighbors) -> Result<()> {
    match neighbors {
        Neighbors::Nearest(0) => Err(Error::setting("model.neighbors", "nearest = 0 leaves no edges; give 1 or more")),
        Neighbors::Nearest(n) => limits::NEIGHBORS.check("model.neighbors.nearest", n),
        Neighbors::All => Ok(()),
    }
}
