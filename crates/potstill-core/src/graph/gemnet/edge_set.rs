//! Directed edges between the atoms of a batch that is described elsewhere.

use super::super::Graph;
use super::super::edges::EdgeList;
use super::runs::offsets;
use crate::system::{Vec3, dot};

/// Directed edges, sorted by target, then source, then shift; in the conventions of [`Graph`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EdgeSet {
    /// Source atom of each edge. Shape: `[n_edges]`.
    pub source: Vec<u32>,
    /// Target atom of each edge, ascending. Shape: `[n_edges]`.
    pub target: Vec<u32>,
    /// Lattice translation added to the source, for positions as given (not wrapped). Shape: `[n_edges, 3]`.
    pub shifts: Vec<[i32; 3]>,
    /// `positions[source] - positions[target] + shifts · cell` in Å. Shape: `[n_edges, 3]`.
    pub displacement: Vec<Vec3>,
}

impl EdgeSet {
    /// Number of edges.
    pub fn n_edges(&self) -> usize {
        self.source.len()
    }

    /// Length of each edge in Å. Shape: `[n_edges]`.
    pub fn distances(&self) -> Vec<f64> {
        self.displacement.iter().map(|&d| dot(d, d).sqrt()).collect()
    }
}

impl From<EdgeList> for EdgeSet {
    /// Gives back what growing reserved: graphs are kept for a whole training.
    fn from(EdgeList { mut source, mut target, mut shifts, mut displacement }: EdgeList) -> Self {
        source.shrink_to_fit();
        target.shrink_to_fit();
        shifts.shrink_to_fit();
        displacement.shrink_to_fit();
        Self { source, target, shifts, displacement }
    }
}

/// Sources, targets and shifts of edges, for matching the edges of two graphs.
pub(super) struct Edges<'a> {
    pub source: &'a [u32],
    pub target: &'a [u32],
    pub shifts: &'a [[i32; 3]],
    /// First edge of each target, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    first: Vec<usize>,
}

impl<'a> Edges<'a> {
    pub fn of_graph(graph: &'a Graph) -> Self {
        Self { source: &graph.source, target: &graph.target, shifts: &graph.shifts, first: graph.first_edges() }
    }

    pub fn of_set(set: &'a EdgeSet, n_atoms: usize) -> Self {
        let first = offsets(&set.target, n_atoms);
        Self { source: &set.source, target: &set.target, shifts: &set.shifts, first }
    }

    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// The edges into `atom`.
    pub fn entering(&self, atom: u32) -> std::ops::Range<usize> {
        self.first[atom as usize]..self.first[atom as usize + 1]
    }

    /// The edge into `target` from that image of `source`, if there is one.
    pub fn find(&self, target: u32, source: u32, shift: [i32; 3]) -> Option<usize> {
        let own = self.entering(target);
        let (mut low, mut high) = (own.start, own.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if (self.source[middle], self.shifts[middle]) < (source, shift) { low = middle + 1 } else { high = middle }
        }
        (low < own.end && (self.source[low], self.shifts[low]) == (source, shift)).then_some(low)
    }
}
