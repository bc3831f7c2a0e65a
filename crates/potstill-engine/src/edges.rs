//! Edges of a batch as the kernels read them: those into each atom side by side, and those out of it.

use std::ops::Range;

use potstill_core::graph::NeighborList;
use potstill_core::system::Vec3;
use potstill_kernels::Number;
use potstill_kernels::edges::Edges;

use crate::buffers::EdgeGradients;
use crate::order::Order;
use crate::tasks::{Parts, run};

/// Atoms whose edges one task copies.
const ATOMS_PER_TASK: usize = 512;
/// Edges that cost about as much as an atom by itself.
const EDGES_PER_ATOM: usize = 16;

/// Edges that share one end, side by side.
#[derive(Debug, Default)]
pub struct EdgeList<T> {
    /// First edge of each atom, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    pub first: Vec<usize>,
    /// Atom at the other end. Shape: `[n_edges]`.
    pub other: Vec<u32>,
    /// Length in Å. Shape: `[n_edges]`.
    pub distance: Vec<T>,
    /// Unit vector from the atom to the other. Shape: `[n_edges]`.
    pub direction: Vec<[T; 3]>,
}

impl<T: Number> EdgeList<T> {
    /// Edges of some atoms.
    pub fn of(&self, atoms: &Range<usize>) -> Range<usize> {
        self.first[atoms.start]..self.first[atoms.end]
    }

    /// Lengths of the edges of some atoms.
    pub fn distances(&self, atoms: &Range<usize>) -> &[T] {
        &self.distance[self.of(atoms)]
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

/// Edges of a graph by target and by source.
#[derive(Debug, Default)]
pub struct EdgeLists<T> {
    /// Edges by target; `other` is the source.
    pub by_target: EdgeList<T>,
    /// Edges by source where not every edge has its reverse; else empty.
    one_way: EdgeList<T>,
    is_symmetric: bool,
}

/// Displacement in Å of an edge out of an atom, from the target to the source, and the gradient of the energy with respect to it. With
/// displacement `D = d u` it is `∂E/∂D = u d̄ + (ū − u (u · ū)) / d`, where bars are the gradients with respect to `d` and `u`; the
/// target's force is that, the source's its negative.
#[inline]
pub fn gradient<T: Number>(
    by_source: &EdgeList<T>,
    gradients: &EdgeGradients<T>,
    e: usize,
    factor: f64,
) -> (Vec3, Vec3) {
    let length = by_source.distance[e].to_f64();
    // The list's direction points from the source to the target.
    let u = by_source.direction[e].map(|c| -c.to_f64());
    let across = gradients.direction.get(e).map_or([0.0; 3], |d| d.map(Number::to_f64));
    let along = gradients.distance[e].to_f64() - (0..3).map(|c| u[c] * across[c]).sum::<f64>() / length;
    (u.map(|c| length * c), std::array::from_fn(|c| factor * (u[c] * along + across[c] / length)))
}

/// Edges into a range of atoms, to be written.
struct CopyTask<'a, T> {
    atoms: Range<usize>,
    other: &'a mut [u32],
    distance: &'a mut [T],
    direction: &'a mut [[T; 3]],
}

impl<T: Number> EdgeLists<T> {
    /// Copies a neighbour list, its atoms numbered by `order`. `is_symmetric`: every edge has its reverse.
    pub fn fill(&mut self, list: &NeighborList, order: &Order, is_symmetric: bool) {
        self.by_target.fill(list, order);
        self.is_symmetric = is_symmetric;
        match is_symmetric {
            true => self.one_way.resize(0),
            false => self.one_way.reverse_of(&self.by_target),
        }
    }

    /// List to be filled with edges by target, each of which has its reverse, there or in another process.
    pub fn symmetric(&mut self) -> &mut EdgeList<T> {
        self.is_symmetric = true;
        self.one_way.resize(0);
        &mut self.by_target
    }

    /// Edges by source; `other` is the target. Where every edge has its reverse, these lie as the edges into the source do.
    pub fn by_source(&self) -> &EdgeList<T> {
        if self.is_symmetric { &self.by_target } else { &self.one_way }
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.by_target.other.len()
    }

    /// At most `n` ranges of atoms of about the same cost, none of them empty.
    pub fn tasks(&self, n: usize) -> Vec<Range<usize>> {
        let n_atoms = self.by_target.first.len().saturating_sub(1);
        let cost = |atom: usize| self.by_target.first[atom] + EDGES_PER_ATOM * atom;
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

impl<T: Number> EdgeList<T> {
    /// Copies a neighbour list, whose edges are sorted by target.
    fn fill(&mut self, list: &NeighborList, order: &Order) {
        self.first.clear();
        self.first.push(0);
        let mut total = 0;
        self.first.extend((0..list.n_atoms()).map(|atom| {
            let of_list = &list.first_edges()[order.of_caller(atom)..];
            total += of_list[1] - of_list[0];
            total
        }));
        self.resize(list.n_edges());
        let Self { first, other, distance, direction } = self;
        let (mut other, mut distance, mut direction) = (Parts::of(other), Parts::of(distance), Parts::of(direction));
        let n_atoms = list.n_atoms();
        let step = if rayon::current_num_threads() == 1 { n_atoms.max(1) } else { ATOMS_PER_TASK };
        let tasks = (0..n_atoms).step_by(step).map(|start| {
            let atoms = start..(start + step).min(n_atoms);
            let n = first[atoms.end] - first[atoms.start];
            CopyTask { atoms, other: other.next(n), distance: distance.next(n), direction: direction.next(n) }
        });
        run(tasks.collect(), |task| task.copy(list, order));
    }

    /// Sorts edges by their other end.
    fn reverse_of(&mut self, list: &Self) {
        let n_atoms = list.first.len() - 1;
        self.resize(list.other.len());
        self.first.clear();
        self.first.resize(n_atoms + 1, 0);
        list.other.iter().for_each(|&source| self.first[source as usize + 1] += 1);
        (0..n_atoms).for_each(|atom| self.first[atom + 1] += self.first[atom]);
        let mut next = self.first.clone();
        for target in 0..n_atoms {
            for e in list.of(&(target..target + 1)) {
                let place = &mut next[list.other[e] as usize];
                self.put(*place, target as u32, list.distance[e], list.direction[e].map(|c| -c));
                *place += 1;
            }
        }
    }
}

impl<T: Number> CopyTask<'_, T> {
    fn copy(self, list: &NeighborList, order: &Order) {
        let neighbors = self.atoms.flat_map(|atom| list.neighbors(order.of_caller(atom)));
        let places = self.other.iter_mut().zip(self.distance).zip(self.direction);
        for (neighbor, ((other, distance), direction)) in neighbors.zip(places) {
            let length = neighbor.distance2.sqrt();
            (*other, *distance) = (order.of_engine(neighbor.source), T::of(length));
            *direction = neighbor.displacement.map(|c| T::of(c / length));
        }
    }
}
