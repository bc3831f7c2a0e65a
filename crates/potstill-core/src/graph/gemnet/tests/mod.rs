//! The graphs of GemNet-OC against naive loops, against the reference's golden files, and at their edges.

mod angles;
mod cases;
mod golden;
mod properties;

use super::{EdgeSet, GemNetRule};
use crate::graph::{Graph, Neighbors};
use crate::system::{System, Vec3};

/// The rule of the published settings, with everything switched on.
fn published() -> GemNetRule {
    GemNetRule {
        cutoff: 12.0,
        cutoff_qint: 12.0,
        cutoff_aeaint: 12.0,
        cutoff_aint: 12.0,
        max_neighbors: Neighbors::Nearest(30),
        max_neighbors_qint: Neighbors::Nearest(8),
        max_neighbors_aeaint: Neighbors::Nearest(20),
        max_neighbors_aint: Neighbors::Nearest(1000),
        qint_tags: vec![1, 2],
        quad: true,
        atom_edge: true,
        edge_atom: true,
        atom_atom: true,
    }
}

/// Source, target and shift: what an edge is, whatever its index.
type Name = (u32, u32, [i32; 3]);

fn set_of(graph: &Graph) -> EdgeSet {
    EdgeSet {
        source: graph.source.clone(),
        target: graph.target.clone(),
        shifts: graph.shifts.clone(),
        displacement: graph.displacement.clone(),
    }
}

fn names(edges: &EdgeSet) -> Vec<Name> {
    (0..edges.n_edges()).map(|e| (edges.source[e], edges.target[e], edges.shifts[e])).collect()
}

/// A free molecule of hydrogen.
fn molecule(positions: &[Vec3]) -> System {
    System { atomic_numbers: vec![1; positions.len()], positions: positions.to_vec(), ..System::default() }
}

fn plus(a: [i32; 3], b: [i32; 3]) -> [i32; 3] {
    std::array::from_fn(|k| a[k] + b[k])
}
