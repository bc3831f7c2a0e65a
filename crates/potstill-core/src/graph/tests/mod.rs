//! Graphs against brute force, against the reference's golden files, and on bad input.

mod bad_input;
mod cases;
pub(super) mod golden;
pub(super) mod properties;

use super::{Graph, GraphRule, Neighbors};
use crate::system::{Mat3, System, Vec3, cross, dot};

/// Every pair within the cutoff.
fn all(cutoff: f64) -> GraphRule {
    GraphRule { cutoff, neighbors: Neighbors::All, symmetric: false }
}

/// The `k` nearest, symmetrised or not.
fn nearest(cutoff: f64, k: usize, symmetric: bool) -> GraphRule {
    GraphRule { cutoff, neighbors: Neighbors::Nearest(k), symmetric }
}

/// A system of hydrogen.
fn hydrogens(positions: &[Vec3], cell: Option<Mat3>, pbc: [bool; 3]) -> System {
    System { atomic_numbers: vec![1; positions.len()], positions: positions.to_vec(), cell, pbc, ..System::default() }
}

/// Target, source, shift: the order of edges.
type Name = (u32, u32, [i32; 3]);

fn names(graph: &Graph) -> Vec<Name> {
    (0..graph.n_edges()).map(|e| (graph.target[e], graph.source[e], graph.shifts[e])).collect()
}

/// Name, squared length and displacement of each edge, in the order of a graph.
type Edges = Vec<(Name, f64, Vec3)>;

/// All edges by looping over all pairs and a generous box of shifts.
fn brute_force(system: &System, cutoff: f64) -> Edges {
    let range = shift_range(system, cutoff);
    let mut edges = Vec::new();
    for t in 0..system.n_atoms() {
        for s in 0..system.n_atoms() {
            for a in -range[0]..=range[0] {
                for b in -range[1]..=range[1] {
                    for c in -range[2]..=range[2] {
                        let d = displacement(system, s, t, [a, b, c]);
                        if dot(d, d) <= cutoff * cutoff && !(s == t && [a, b, c] == [0; 3]) {
                            edges.push(((t as u32, s as u32, [a, b, c]), dot(d, d), d));
                        }
                    }
                }
            }
        }
    }
    edges
}

fn displacement(system: &System, source: usize, target: usize, shift: [i32; 3]) -> Vec3 {
    let [a, b, c] = system.cell.unwrap_or_default();
    let [n0, n1, n2] = shift.map(f64::from);
    let (from, to) = (system.positions[source], system.positions[target]);
    std::array::from_fn(|x| from[x] - to[x] + (n0 * a[x] + n1 * b[x] + n2 * c[x]))
}

/// More shifts than any pair within the cutoff can need.
fn shift_range(system: &System, cutoff: f64) -> [i32; 3] {
    let Some([a, b, c]) = system.cell else { return [0; 3] };
    let volume = dot(a, cross(b, c)).abs();
    let farthest = system.positions.iter().map(|&p| dot(p, p).sqrt()).fold(0.0, f64::max);
    let normals = [cross(b, c), cross(c, a), cross(a, b)];
    std::array::from_fn(|k| {
        let height = volume / dot(normals[k], normals[k]).sqrt();
        if system.pbc[k] { ((cutoff + 2.0 * farthest) / height).ceil() as i32 + 1 } else { 0 }
    })
}

/// The `k` nearest of each target among `edges`.
fn brute_nearest(edges: &Edges, k: usize) -> Edges {
    let mut kept = Vec::new();
    for group in edges.chunk_by(|a, b| a.0.0 == b.0.0) {
        let mut group = group.to_vec();
        group.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        group.truncate(k);
        group.sort_by_key(|edge| edge.0);
        kept.extend(group);
    }
    kept
}

/// Symmetrisation written as its definition.
fn brute_symmetrised(edges: &Edges) -> Edges {
    let mut kept = Vec::new();
    for &((t, s, n), d2, d) in edges {
        if s < t || (s == t && n < [0; 3]) {
            kept.push(((t, s, n), d2, d));
            kept.push(((s, t, n.map(|x| -x)), d2, d.map(|x| -x)));
        }
    }
    kept.sort_by_key(|edge| edge.0);
    kept
}

/// Asserts that `graph` holds exactly `expected`, in order.
fn assert_edges(graph: &Graph, expected: &Edges) {
    assert_eq!(names(graph), expected.iter().map(|e| e.0).collect::<Vec<_>>());
    for (d, (name, _, expected)) in graph.displacement.iter().zip(expected) {
        assert_eq!(d, expected, "displacement of {name:?}");
    }
}
