//! Systems made ready for training: graphs drawn once, labels in the network's units.

use std::sync::atomic::{AtomicUsize, Ordering};

use potstill_core::dataset::{ElementEnergies, Normalizer};
use potstill_core::graph::Graph;
use potstill_core::{Error, Result, System};
use potstill_nn::NetworkGraphRule;
use rayon::prelude::*;

/// Bytes of graphs that are kept for one set of systems; the graphs of others are drawn anew at each step, with the same
/// result.
const KEPT_GRAPHS: usize = 2 << 30;
/// Bytes of an edge: both ends, shift and displacement.
const EDGE_BYTES: usize = 2 * 4 + 3 * 4 + 3 * 8;

/// One system, ready.
#[derive(Debug, Clone)]
pub struct PreparedSystem {
    /// Its neighbour graph; none where it is drawn anew at each step: for GemNet-OC, whose quadruplets would not fit into
    /// memory and cost little beside what it does with them, and for what is beyond 2 GiB of graphs.
    pub graph: Option<Graph>,
    /// Number of atoms.
    pub n_atoms: usize,
    /// Number of directed edges.
    pub n_edges: usize,
    /// Energy less reference energies, normalised.
    pub energy: Option<f64>,
    /// Forces, normalised. Shape: `[n_atoms, 3]`.
    pub forces: Option<Vec<[f64; 3]>>,
    /// Whether each atom may move. Shape: `[n_atoms]`.
    pub free: Vec<bool>,
    /// What errors call the system.
    pub label: String,
}

impl PreparedSystem {
    /// Number of atoms that enter the force loss.
    pub fn n_free(&self) -> usize {
        self.free.iter().filter(|&&f| f).count()
    }

    /// Cost of a step on this system, for dividing a batch among threads.
    pub fn cost(&self) -> usize {
        self.n_edges + 8 * self.n_atoms
    }
}

/// Draws graphs in parallel and normalises labels.
///
/// # Errors
/// See [`NetworkGraphRule::build`]; names the system by its index in `systems`.
pub fn prepare(
    systems: &[System],
    rule: &NetworkGraphRule,
    references: &ElementEnergies,
    normalizer: &Normalizer,
) -> Result<Vec<PreparedSystem>> {
    let kept = AtomicUsize::new(0);
    systems
        .par_iter()
        .enumerate()
        .map(|(index, system)| {
            let graph = rule.build_main(&[system]).map_err(|e| at(index, e))?;
            let n_edges = graph.n_edges();
            let pairs = !matches!(rule, NetworkGraphRule::GemNet(_));
            let fits = pairs && kept.fetch_add(n_edges * EDGE_BYTES, Ordering::Relaxed) < KEPT_GRAPHS;
            let graph = fits.then_some(graph);
            let energy = match system.energy {
                Some(energy) => Some(normalizer.normalize_energy(energy - references.total(&system.atomic_numbers)?)),
                None => None,
            };
            let normalize = |f: &[f64; 3]| f.map(|c| normalizer.normalize_force(c));
            let label = system.name().map_or_else(|| index.to_string(), |name| format!("{index} ({name})"));
            Ok(PreparedSystem {
                graph,
                n_atoms: system.n_atoms(),
                n_edges,
                energy,
                forces: system.forces.as_ref().map(|forces| forces.iter().map(normalize).collect()),
                free: (0..system.n_atoms()).map(|i| system.is_free(i)).collect(),
                label,
            })
        })
        .collect()
}

fn at(index: usize, error: Error) -> Error {
    match error {
        Error::System { name, message, .. } => Error::System { index, name, message },
        other => other,
    }
}
