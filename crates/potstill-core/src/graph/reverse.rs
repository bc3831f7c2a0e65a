//! Edges of each target, reverse edges, and lengths, read off the order of the edges.

use super::Graph;
use crate::system::dot;

impl Graph {
    /// First edge of each target atom, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    pub fn first_edges(&self) -> Vec<usize> {
        let mut first = vec![0; self.n_atoms() + 1];
        for &target in &self.target {
            first[target as usize + 1] += 1;
        }
        for atom in 0..self.n_atoms() {
            first[atom + 1] += first[atom];
        }
        first
    }

    /// Length of each edge in Å. Shape: `[n_edges]`.
    pub fn distances(&self) -> Vec<f64> {
        self.displacement.iter().map(|&d| dot(d, d).sqrt()).collect()
    }

    /// Index of the reverse of each edge (source and target swapped, shift and displacement negated), or none if
    /// some edge has no reverse. Shape: `[n_edges]`.
    ///
    /// Always present for [`Neighbors::All`](super::Neighbors::All) and for symmetrised graphs. Linear in the edges.
    pub fn reverse_edges(&self) -> Option<Vec<u32>> {
        let mut next = self.first_edges();
        let mut reverse = vec![0; self.n_edges()];
        let mut start = 0;
        // Targets ascend, so the edges out of an atom are met in the order in which their reverses lie at that atom;
        // within one pair the shifts run the other way.
        while start < self.n_edges() {
            let (source, target) = (self.source[start], self.target[start]);
            let same = |e: &usize| self.source[*e] == source && self.target[*e] == target;
            let n = (start..self.n_edges()).take_while(same).count();
            let opposite = next[source as usize];
            next[source as usize] += n;
            for (i, e) in (start..start + n).enumerate() {
                let r = opposite + n - 1 - i;
                let matches = r < self.n_edges()
                    && (self.source[r], self.target[r]) == (target, source)
                    && self.shifts[r] == self.shifts[e].map(|x| -x);
                reverse[e] = if matches { r as u32 } else { return None };
            }
            start += n;
        }
        Some(reverse)
    }
}
