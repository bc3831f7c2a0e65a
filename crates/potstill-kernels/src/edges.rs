//! Edges of a graph, grouped by one of their ends.

use std::ops::Range;

/// Read-only view of edges that are grouped by an atom, side by side for each.
#[derive(Debug, Clone, Copy)]
pub struct Edges<'a, T> {
    /// First edge of each atom, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    pub first: &'a [usize],
    /// Atom at the other end. Shape: `[n_edges]`.
    pub other: &'a [u32],
    /// Unit vector from the atom to the other; for kernels that read it. Shape: `[n_edges]`, or empty.
    pub direction: &'a [[T; 3]],
}

/// Edges grouped by an atom, as kernels read them.
pub trait EdgeEnds<T>: Copy {
    /// Edges of one atom.
    fn of(&self, atom: usize) -> Range<usize>;

    /// Atom at the other end.
    fn other(&self, edge: usize) -> usize;

    /// Unit vector from the atom to the other.
    fn direction(&self, edge: usize) -> [T; 3];

    /// Largest number of edges that one of the atoms has.
    #[inline(always)]
    fn most(&self, atoms: Range<usize>) -> usize {
        let mut most = 0;
        for atom in atoms {
            most = most.max(self.of(atom).len());
        }
        most
    }
}

impl<T: Copy> EdgeEnds<T> for Edges<'_, T> {
    #[inline(always)]
    fn of(&self, atom: usize) -> Range<usize> {
        self.first[atom]..self.first[atom + 1]
    }

    #[inline(always)]
    fn other(&self, edge: usize) -> usize {
        self.other[edge] as usize
    }

    #[inline(always)]
    fn direction(&self, edge: usize) -> [T; 3] {
        self.direction[edge]
    }
}

/// Order of the edges by one of their ends, edges of the same atom in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct EdgeOrder {
    /// First edge of each atom, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    pub first: Vec<usize>,
    /// Atom at the other end. Shape: `[n_edges]`.
    pub other: Vec<u32>,
    /// Original number of each edge. Shape: `[n_edges]`.
    pub edge: Vec<u32>,
}

impl EdgeOrder {
    /// Groups edges, given as `[source, target]`, by their source (`end` 0) or their target (`end` 1).
    pub fn by(end: usize, ends: &[[u32; 2]], n_atoms: usize) -> Self {
        let mut first = vec![0; n_atoms + 1];
        ends.iter().for_each(|ends| first[ends[end] as usize + 1] += 1);
        (0..n_atoms).for_each(|atom| first[atom + 1] += first[atom]);
        let mut next = first.clone();
        let (mut other, mut edge) = (vec![0; ends.len()], vec![0; ends.len()]);
        for (e, ends) in (0..).zip(ends) {
            let place = &mut next[ends[end] as usize];
            (other[*place], edge[*place]) = (ends[1 - end], e);
            *place += 1;
        }
        Self { first, other, edge }
    }

    /// View with directions in this order.
    pub fn view<'a, T>(&'a self, direction: &'a [[T; 3]]) -> Edges<'a, T> {
        Edges { first: &self.first, other: &self.other, direction }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_grouped_in_their_order() {
        let ends = [[2, 0], [1, 0], [0, 1], [2, 1], [0, 2]];
        let by_source = EdgeOrder::by(0, &ends, 4);
        assert_eq!(by_source.first, [0, 2, 3, 5, 5]);
        assert_eq!(by_source.other, [1, 2, 0, 0, 1]);
        assert_eq!(by_source.edge, [2, 4, 1, 0, 3]);
        assert_eq!(EdgeOrder::by(1, &ends, 3).edge, [0, 1, 2, 3, 4]);
        assert_eq!(by_source.view::<f64>(&[]).most(0..4), 2);
    }
}
