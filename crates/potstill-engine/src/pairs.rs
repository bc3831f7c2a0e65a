//! Edges of a batch as the kernels want them: those into each atom side by side, and those out of it.

use std::ops::Range;

use potstill_core::graph::NeighborList;
use potstill_kernels::Number;
use potstill_kernels::edges::Edges;

use crate::order::Order;
use crate::tasks::{cut_edges, run};

/// Edges that share one end, side by side.
#[derive(Debug, Default)]
pub struct Fan<T> {
    /// First edge of each atom, and their number at the end. Shape: `[n_atoms + 1]`.
    pub first: Vec<usize>,
    /// The atom at the other end. Shape: `[n_edges]`.
    pub other: Vec<u32>,
    /// In Å. Shape: `[n_edges]`.
    pub distance: Vec<T>,
    /// From the atom to the other, of length 1. Shape: `[n_edges]`.
    pub direction: Vec<[T; 3]>,
}

impl<T: Number> Fan<T> {
    /// The edges of an atom.
    pub fn edges(&self, atom: usize) -> Range<usize> {
        self.first[atom]..self.first[atom + 1]
    }

    /// The edges of some atoms.
    pub fn edges_of(&self, atoms: Range<usize>) -> Range<usize> {
        self.first[atoms.start]..self.first[atoms.end]
    }

    /// View for kernels.
    pub fn view(&self) -> Edges<'_, T> {
        Edges { first: &self.first, other: &self.other, direction: &self.direction }
    }

    fn resize(&mut self, n_edges: usize) {
        self.other.resize(n_edges, 0);
        self.distance.resize(n_edges, T::ZERO);
        self.direction.resize(n_edges, [T::ZERO; 3]);
    }

    fn put(&mut self, place: usize, other: u32, distance: T, direction: [T; 3]) {
        (self.other[place], self.distance[place], self.direction[place]) = (other, distance, direction);
    }
}

/// Both fans of a graph.
#[derive(Debug, Default)]
pub struct Pairs<T> {
    /// Edges by target; `other` is the source.
    pub into: Fan<T>,
    /// Edges by source where not every edge has its reverse; else empty.
    one_way: Fan<T>,
    is_symmetric: bool,
}

impl<T: Number> Pairs<T> {
    /// Takes in a list of neighbours, its atoms numbered by `order`; memory is kept from call to call. `is_symmetric`: every edge has
    /// its reverse.
    pub fn fill(&mut self, list: &NeighborList, order: &Order, is_symmetric: bool) {
        let Self { into, one_way, .. } = self;
        let (n, n_edges) = (list.n_atoms(), list.n_edges());
        into.first.clear();
        into.first.push(0);
        let mut total = 0;
        into.first.extend((0..n).map(|atom| {
            let of_list = &list.first_edges()[order.of_caller(atom)..];
            total += of_list[1] - of_list[0];
            total
        }));
        into.resize(n_edges);
        let tasks: Vec<Range<usize>> = match rayon::current_num_threads() {
            1 => std::iter::once(0..n).collect(),
            _ => (0..n).step_by(512).map(|start| start..(start + 512).min(n)).collect(),
        };
        let parts: Vec<_> = tasks
            .iter()
            .zip(cut_edges(&mut into.other, &tasks, &into.first))
            .zip(cut_edges(&mut into.distance, &tasks, &into.first))
            .zip(cut_edges(&mut into.direction, &tasks, &into.first))
            .collect();
        run(parts, |(((task, other), distance), direction)| {
            let places = other.iter_mut().zip(distance).zip(direction);
            let neighbors = task.clone().flat_map(|atom| list.neighbors(order.of_caller(atom)));
            for (neighbor, ((other, distance), direction)) in neighbors.zip(places) {
                let length = neighbor.distance2.sqrt();
                (*other, *distance) = (order.of_engine(neighbor.source), T::of(length));
                *direction = neighbor.displacement.map(|c| T::of(c / length));
            }
        });
        self.is_symmetric = is_symmetric;
        one_way.resize(if is_symmetric { 0 } else { n_edges });
        if is_symmetric {
            return;
        }
        one_way.first.clear();
        one_way.first.resize(n + 1, 0);
        into.other.iter().for_each(|&source| one_way.first[source as usize + 1] += 1);
        (0..n).for_each(|atom| one_way.first[atom + 1] += one_way.first[atom]);
        let mut next = one_way.first.clone();
        for target in 0..n {
            for e in into.edges(target) {
                let place = &mut next[into.other[e] as usize];
                one_way.put(*place, target as u32, into.distance[e], into.direction[e].map(|c| -c));
                *place += 1;
            }
        }
    }

    /// Edges by source; `other` is the target. Where every edge has its reverse, these lie as the edges into the source do.
    pub fn out_of(&self) -> &Fan<T> {
        if self.is_symmetric { &self.into } else { &self.one_way }
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.into.other.len()
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
