//! Edges of a batch as the kernels want them: those into each atom side by side, and those out of it.

use std::ops::Range;

use potstill_core::graph::Graph;

use potstill_core::number::Number;

/// Edges that share one end, side by side.
#[derive(Debug, Default)]
pub struct Fan<T> {
    /// First edge of each atom, and their number at the end. Shape: `[n_atoms + 1]`.
    pub first: Vec<usize>,
    /// The atom at the other end. Shape: `[n_edges]`.
    pub other: Vec<u32>,
    /// In Å. Shape: `[n_edges]`.
    pub distance: Vec<T>,
    /// From target to source, of length 1. Shape: `[n_edges]`.
    pub direction: Vec<[T; 3]>,
}

impl<T> Fan<T> {
    /// The edges of an atom.
    pub fn edges(&self, atom: usize) -> Range<usize> {
        self.first[atom]..self.first[atom + 1]
    }

    fn clear(&mut self) {
        self.first.clear();
        self.other.clear();
        self.distance.clear();
        self.direction.clear();
    }
}

/// Both fans of a graph.
#[derive(Debug, Default)]
pub struct Pairs<T> {
    /// Edges by target; `other` is the source.
    pub into: Fan<T>,
    /// Edges by source; `other` is the target.
    pub out_of: Fan<T>,
    /// Length of each edge of `out_of`, in f64.
    pub lengths: Vec<f64>,
    /// Displacement of each edge of `out_of`, from target to source, in f64 and Å.
    pub displacement: Vec<[f64; 3]>,
    /// Scratch.
    next: Vec<usize>,
}

impl<T: Number> Pairs<T> {
    /// Takes in a graph; memory is kept from call to call.
    pub fn fill(&mut self, graph: &Graph) {
        let (n, n_edges) = (graph.n_atoms(), graph.n_edges());
        let Self { into, out_of, lengths, displacement, next } = self;
        into.clear();
        out_of.clear();
        for (fan, ends) in [(&mut *into, &graph.target), (&mut *out_of, &graph.source)] {
            fan.first.resize(n + 1, 0);
            ends.iter().for_each(|&end| fan.first[end as usize + 1] += 1);
            (0..n).for_each(|atom| fan.first[atom + 1] += fan.first[atom]);
        }
        out_of.other.resize(n_edges, 0);
        out_of.distance.resize(n_edges, T::ZERO);
        out_of.direction.resize(n_edges, [T::ZERO; 3]);
        lengths.resize(n_edges, 0.0);
        displacement.resize(n_edges, [0.0; 3]);
        next.clear();
        next.extend_from_slice(&out_of.first[..n]);
        for (e, &d) in graph.displacement.iter().enumerate() {
            let length = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
            let (distance, direction) = (T::of(length), d.map(|c| T::of(c / length)));
            into.other.push(graph.source[e]);
            into.distance.push(distance);
            into.direction.push(direction);
            let place = &mut next[graph.source[e] as usize];
            out_of.other[*place] = graph.target[e];
            out_of.distance[*place] = distance;
            out_of.direction[*place] = direction;
            (lengths[*place], displacement[*place]) = (length, d);
            *place += 1;
        }
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Runs of atoms of about the same cost, at least one of them, for `n` tasks.
    pub fn tasks(&self, n: usize) -> Vec<Range<usize>> {
        // An atom by itself costs about as much as so many edges.
        const ATOM: usize = 16;
        let n_atoms = self.into.first.len().saturating_sub(1);
        let cost = |atom: usize| self.into.first[atom] + ATOM * atom;
        let total = cost(n_atoms);
        let mut tasks = Vec::with_capacity(n);
        let mut start = 0;
        for k in 1..=n {
            let mut end = start;
            while end < n_atoms && cost(end + 1) * n <= total * k {
                end += 1;
            }
            let end = if k == n { n_atoms } else { end };
            if end > start {
                tasks.push(start..end);
            }
            start = end;
        }
        tasks
    }
}
