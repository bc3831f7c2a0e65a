//! Edges of a batch as the kernels read them, in parts for tasks.
//!
//! An edge and its reverse have one filter, so a *pair* of atoms is listed once, with the atom that comes first, and kernels write to
//! both atoms. Atoms are cut into tasks; a pair of atoms of two tasks belongs to the first, which adds up what the other's atom gets in a
//! row of its own, its *halo*, that the second task collects. How atoms are cut depends on their number alone, so that results have the
//! same bits with any number of threads.

use std::ops::Range;
use std::sync::Mutex;

use potstill_core::system::Vec3;
use potstill_kernels::Number;
use potstill_kernels::filters::{PlacedEdge, PlacedEdges};

use crate::buffers::EdgeGradients;
use crate::tasks::run;

/// Edges that a list has room for at first.
const FEWEST: usize = 64;
/// Edges that cost about as much as an atom by itself.
const EDGES_PER_ATOM: usize = 16;

/// Neighbour of an atom.
#[derive(Debug, Clone, Copy)]
pub struct Neighbor {
    /// Number of the atom, or of a ghost.
    pub other: u32,
    /// Vector from the atom to (the image of) the other in Å.
    pub displacement: Vec3,
    /// Square of its length.
    pub distance2: f64,
}

/// Edges that share one end, side by side.
#[derive(Debug)]
pub struct EdgeList<T> {
    /// First edge of each atom, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    pub first: Vec<usize>,
    /// Edges; their directions point from the atom to the other. Shape: `[n_edges]`.
    pub edges: Vec<PlacedEdge<T>>,
    /// Length in Å. Shape: `[n_edges]`.
    pub distance: Vec<T>,
}

/// Read-only view of the edges of some atoms.
#[derive(Debug, Clone, Copy)]
pub struct Edges<'a, T> {
    /// First edge of each atom in the arrays, and the end of the last. Shape: `[n_atoms + 1]`.
    pub first: &'a [usize],
    /// Edges of all atoms of the list.
    pub edges: &'a [PlacedEdge<T>],
    /// Lengths in Å of all edges of the list.
    pub distance: &'a [T],
}

/// Edges of the atoms of one task.
#[derive(Debug)]
pub struct TaskEdges<T> {
    /// Range of the atoms.
    pub atoms: Range<usize>,
    /// Pairs of the atoms with later ones.
    pairs: EdgeList<T>,
    /// Edges into the atoms that belong to no pair: from images of the atom itself, from ghosts, or all edges of a graph in which not
    /// every edge has its reverse.
    singles: EdgeList<T>,
    /// Later tasks' atoms that pairs lead to, each once.
    pub halo: Vec<u32>,
    /// Rows that earlier tasks have for these atoms, by task.
    pub inflow: Vec<Inflow>,
}

/// Row of a task's halo that belongs to an atom of another.
#[derive(Debug, Clone, Copy)]
pub struct Inflow {
    /// Task with the halo.
    pub task: u32,
    /// Row of its halo.
    pub row: u32,
    /// Atom, counted from the first of its own task.
    pub atom: u32,
}

/// Edges of a graph.
#[derive(Debug)]
pub struct EdgeLists<T> {
    tasks: Vec<TaskEdges<T>>,
    n_tasks: usize,
    is_symmetric: bool,
    /// Edges by source where not every edge has its reverse.
    one_way: EdgeList<T>,
    /// Rows of halos by atom, zero for none, one array for each task that runs.
    marks: Mutex<Vec<Vec<u32>>>,
}

impl<T> Default for EdgeList<T> {
    fn default() -> Self {
        Self { first: vec![0], edges: Vec::new(), distance: Vec::new() }
    }
}

impl<T> Default for EdgeLists<T> {
    fn default() -> Self {
        Self {
            tasks: Vec::new(),
            n_tasks: 0,
            is_symmetric: true,
            one_way: EdgeList::default(),
            marks: Mutex::default(),
        }
    }
}

impl<T: Number> EdgeList<T> {
    fn clear(&mut self) {
        self.first.clear();
        self.first.push(0);
        self.edges.clear();
        self.distance.clear();
    }

    fn push(&mut self, neighbor: &Neighbor, sums: u32) {
        // Grows by less than doubling: edges are a large part of what a call needs.
        if self.edges.len() == self.edges.capacity() {
            let more = self.edges.len() / 8 + FEWEST;
            self.edges.reserve_exact(more);
            self.distance.reserve_exact(more);
        }
        let length = neighbor.distance2.sqrt();
        let direction = neighbor.displacement.map(|c| T::of(c / length));
        self.edges.push(PlacedEdge { other: neighbor.other, sums, direction, ..PlacedEdge::default() });
        self.distance.push(T::of(length));
    }

    /// View of the edges of some of the atoms.
    pub fn of(&self, atoms: Range<usize>) -> Edges<'_, T> {
        Edges { first: &self.first[atoms.start..=atoms.end], edges: &self.edges, distance: &self.distance }
    }
}

impl<'a, T> Edges<'a, T> {
    /// Number of edges.
    pub fn len(&self) -> usize {
        self.range().len()
    }

    /// Places of the edges in the arrays.
    pub fn range(&self) -> Range<usize> {
        self.first[0]..self.first[self.first.len() - 1]
    }

    /// View of the edges of some of the atoms.
    pub fn of(&self, atoms: Range<usize>) -> Self {
        Self { first: &self.first[atoms.start..=atoms.end], ..*self }
    }

    /// Places of the edges in the arrays, counted from the first of a larger view.
    pub fn within(&self, larger: &Self) -> Range<usize> {
        self.first[0] - larger.first[0]..self.first[self.first.len() - 1] - larger.first[0]
    }

    /// Lengths in Å and edges of the whole list.
    pub fn arrays(&self) -> (&'a [T], &'a [PlacedEdge<T>]) {
        (self.distance, self.edges)
    }

    /// View for kernels that take edges one by one.
    pub fn view(&self) -> PlacedEdges<'a, T> {
        PlacedEdges { first: self.first, edges: self.edges }
    }
}

/// Displacement in Å of an edge, from the atom that it is listed with to the other, and the gradient of the energy with respect to it. With
/// displacement `D = d u` it is `∂E/∂D = u d̄ + (ū − u (u · ū)) / d`, where bars are the gradients with respect to `d` and `u`; the
/// first atom's force is that, the other's its negative.
#[inline]
pub fn gradient<T: Number>(
    distance: T,
    direction: [T; 3],
    (along, across): (T, Option<&[T; 3]>),
    factor: f64,
) -> (Vec3, Vec3) {
    let length = distance.to_f64();
    let u = direction.map(Number::to_f64);
    let across = across.map_or([0.0; 3], |d| d.map(Number::to_f64));
    let along = along.to_f64() - (0..3).map(|c| u[c] * across[c]).sum::<f64>() / length;
    (u.map(|c| length * c), std::array::from_fn(|c| factor * (u[c] * along + across[c] / length)))
}

impl<T: Number> EdgeLists<T> {
    /// Fills the lists.
    ///
    /// - `counts`: number of edges of all atoms before each, and of all at the end. Shape: `[n_atoms + 1]`.
    /// - `least`: number of atoms of a task below which another one costs more than it gives.
    /// - `is_symmetric`: every edge between atoms has its reverse.
    /// - `neighbors` of an atom; those of another number than an atom's are ghosts.
    /// - `place` finds the filters of edges.
    pub fn fill<N: Iterator<Item = Neighbor>>(
        &mut self,
        counts: &[usize],
        least: usize,
        is_symmetric: bool,
        neighbors: impl Fn(usize) -> N + Sync,
        place: impl Fn(&[T], &mut [PlacedEdge<T>]) + Sync,
    ) {
        self.is_symmetric = is_symmetric;
        let n_atoms = counts.len() - 1;
        self.cut(counts, n_atoms, n_tasks(n_atoms, least));
        let marks = &self.marks;
        run(self.tasks[..self.n_tasks].iter_mut().collect(), |task: &mut TaskEdges<T>| {
            let mut own = marks.lock().ok().and_then(|mut all| all.pop()).unwrap_or_default();
            own.resize(own.len().max(n_atoms), 0);
            task.fill(n_atoms, is_symmetric, &neighbors, &mut own);
            if let Ok(mut all) = marks.lock() {
                all.push(own);
            }
            for list in [&mut task.pairs, &mut task.singles] {
                place(&list.distance, &mut list.edges);
            }
        });
        self.connect();
        self.one_way.clear();
        if !is_symmetric {
            self.reverse(n_atoms, place);
        }
    }

    /// Cuts atoms into `n` ranges of about the same cost, none of them empty.
    fn cut(&mut self, counts: &[usize], n_atoms: usize, n: usize) {
        let cost = |atom: usize| counts[atom] + EDGES_PER_ATOM * atom;
        let total = cost(n_atoms);
        self.n_tasks = 0;
        let mut start = 0;
        for k in 1..=n {
            let mut end = start;
            while end < n_atoms && cost(end + 1) * n <= total * k {
                end += 1;
            }
            let end = if k == n { n_atoms } else { end };
            if end > start {
                if self.n_tasks == self.tasks.len() {
                    self.tasks.push(TaskEdges::default());
                }
                self.tasks[self.n_tasks].atoms = start..end;
                self.n_tasks += 1;
            }
            start = end;
        }
    }

    /// Tells each task of the rows that earlier ones have for its atoms.
    fn connect(&mut self) {
        let tasks = &mut self.tasks[..self.n_tasks];
        tasks.iter_mut().for_each(|task| task.inflow.clear());
        for giver in 0..tasks.len() {
            let (givers, takers) = tasks.split_at_mut(giver + 1);
            for (row, &atom) in (0..).zip(&givers[giver].halo) {
                let taker = takers.partition_point(|task| task.atoms.end <= atom as usize);
                let taker = &mut takers[taker];
                let atom = atom - taker.atoms.start as u32;
                taker.inflow.push(Inflow { task: giver as u32, row, atom });
            }
        }
    }

    /// Sorts edges by their other end.
    fn reverse(&mut self, n_atoms: usize, place: impl Fn(&[T], &mut [PlacedEdge<T>])) {
        let Self { tasks, n_tasks, one_way: EdgeList { first, edges, distance }, .. } = self;
        let tasks = &tasks[..*n_tasks];
        let all = || tasks.iter().flat_map(|task| &task.singles.edges);
        first.resize(n_atoms + 1, 0);
        all().for_each(|edge| first[edge.other as usize + 1] += 1);
        (0..n_atoms).for_each(|atom| first[atom + 1] += first[atom]);
        edges.resize(first[n_atoms], PlacedEdge::default());
        distance.resize(first[n_atoms], T::ZERO);
        let mut next = first.clone();
        for task in tasks {
            for (k, target) in task.atoms.clone().enumerate() {
                for e in task.singles.first[k]..task.singles.first[k + 1] {
                    let edge = task.singles.edges[e];
                    let to = &mut next[edge.other as usize];
                    edges[*to] = PlacedEdge { other: target as u32, direction: edge.direction.map(|c| -c), ..edge };
                    distance[*to] = task.singles.distance[e];
                    *to += 1;
                }
            }
        }
        place(distance, edges);
    }

    /// Tasks with their edges.
    pub fn tasks(&self) -> &[TaskEdges<T>] {
        &self.tasks[..self.n_tasks]
    }

    /// Edges out of the atoms of a task that belong to no pair; `other` is the target. Where every edge has its reverse, there or in
    /// another process, these lie as the edges into the atoms do.
    pub fn singles_out<'a>(&'a self, task: &'a TaskEdges<T>) -> Edges<'a, T> {
        if self.is_symmetric { task.singles() } else { self.one_way.of(task.atoms.clone()) }
    }

    /// Calls a function with each atom, each edge that is listed with it, the displacement from it to the other end in Å and the gradient
    /// of the energy with respect to that, times a factor.
    pub fn for_each_gradient(
        &self,
        gradients: &[TaskGradients<T>],
        factor: f64,
        mut add: impl FnMut(usize, usize, Vec3, Vec3),
    ) {
        for (task, own) in self.tasks().iter().zip(gradients) {
            for (list, gradients, sign) in
                [(task.pairs(), &own.pairs, T::ONE), (self.singles_out(task), &own.singles, -T::ONE)]
            {
                let start = list.range().start;
                for (k, atom) in task.atoms.clone().enumerate() {
                    for e in list.first[k]..list.first[k + 1] {
                        let edge = &list.edges[e];
                        // Single edges have gradients with respect to the direction from the other end to the atom.
                        let across = gradients.direction.get(e - start).map(|d| d.map(|c| sign * c));
                        let along = gradients.distance[e - start];
                        let (displacement, gradient) =
                            gradient(list.distance[e], edge.direction, (along, across.as_ref()), factor);
                        add(atom, edge.other as usize, displacement, gradient);
                    }
                }
            }
        }
    }
}

/// Gradients of the energy with respect to the edges of a task.
#[derive(Debug, Default)]
pub struct TaskGradients<T> {
    /// Those of the pairs, with respect to the direction from the first atom to the second.
    pub pairs: EdgeGradients<T>,
    /// Those of the single edges out of the atoms, with respect to the direction from the target to the source.
    pub singles: EdgeGradients<T>,
}

/// Number of tasks for some atoms: it must not depend on the number of threads.
fn n_tasks(n_atoms: usize, least: usize) -> usize {
    [(n_atoms / least).min(2), (n_atoms / 32).min(8), (n_atoms / 128).min(16), n_atoms / 512]
        .into_iter()
        .fold(1, usize::max)
}

impl<T> Default for TaskEdges<T> {
    fn default() -> Self {
        Self {
            atoms: 0..0,
            pairs: EdgeList::default(),
            singles: EdgeList::default(),
            halo: Vec::new(),
            inflow: Vec::new(),
        }
    }
}

impl<T: Number> TaskEdges<T> {
    /// Number of rows in which the sums of a task's pairs are added up: for its own atoms, then for its halo.
    pub fn n_sums(&self) -> usize {
        self.atoms.len() + self.halo.len()
    }

    /// Pairs of the atoms with later ones.
    pub fn pairs(&self) -> Edges<'_, T> {
        self.pairs.of(0..self.atoms.len())
    }

    /// Edges into the atoms that belong to no pair; `other` is the source.
    pub fn singles(&self) -> Edges<'_, T> {
        self.singles.of(0..self.atoms.len())
    }

    /// Lists the edges of the atoms. `marks` are zero before and after. Shape: at least `[n_atoms]`.
    fn fill<N: Iterator<Item = Neighbor>>(
        &mut self,
        n_atoms: usize,
        is_symmetric: bool,
        neighbors: impl Fn(usize) -> N,
        marks: &mut [u32],
    ) {
        let Self { atoms, pairs, singles, halo, .. } = self;
        pairs.clear();
        singles.clear();
        halo.clear();
        for atom in atoms.clone() {
            for neighbor in neighbors(atom) {
                let other = neighbor.other as usize;
                if !is_symmetric || other == atom || other >= n_atoms {
                    singles.push(&neighbor, 0);
                } else if other > atom {
                    let sums = if other < atoms.end {
                        (other - atoms.start) as u32
                    } else {
                        let mark = &mut marks[other];
                        if *mark == 0 {
                            halo.push(neighbor.other);
                            *mark = halo.len() as u32;
                        }
                        atoms.len() as u32 + *mark - 1
                    };
                    pairs.push(&neighbor, sums);
                }
            }
            pairs.first.push(pairs.edges.len());
            singles.first.push(singles.edges.len());
        }
        halo.iter().for_each(|&atom| marks[atom as usize] = 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Neighbours of atoms on a ring, up to `reach` places away, an image of the atom itself and a ghost.
    fn ring(n: usize, reach: usize, atom: usize) -> Vec<Neighbor> {
        let neighbor = |other: usize| Neighbor { other: other as u32, displacement: [1.0, 0.0, 0.0], distance2: 1.0 };
        let near = (1..=reach).flat_map(|k| [(atom + k) % n, (atom + n - k % n) % n]);
        near.chain([atom, n + atom]).map(neighbor).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_edge_belongs_to_one_task(n in 1_usize..700, reach in 0_usize..6, least in 1_usize..40, is_symmetric: bool) {
            let mut lists = EdgeLists::<f64>::default();
            // Twice: the second time in the memory of the first.
            for n in [n, n / 2 + 1, n] {
                let of = |atom: usize| {
                    // Only edges between atoms can be reversed.
                    let mut all = ring(n, reach, atom);
                    all.truncate(if is_symmetric { all.len() } else { all.len() - 1 });
                    all
                };
                let counts: Vec<usize> =
                    (0..=n).map(|end| (0..end).map(|atom| of(atom).len()).sum()).collect();
                lists.fill(&counts, least, is_symmetric, |atom| of(atom).into_iter(), |_, _| {});
                let atoms: Vec<usize> = lists.tasks().iter().flat_map(|task| task.atoms.clone()).collect();
                prop_assert_eq!(atoms, (0..n).collect::<Vec<_>>());
                let (mut found, mut reversed) = (vec![Vec::new(); n], vec![Vec::new(); n]);
                for (t, task) in lists.tasks().iter().enumerate() {
                    let (pairs, singles, out) = (task.pairs(), task.singles(), lists.singles_out(task));
                    for (k, atom) in task.atoms.clone().enumerate() {
                        for edge in &pairs.edges[pairs.first[k]..pairs.first[k + 1]] {
                            let (other, row) = (edge.other as usize, edge.sums as usize);
                            let own = task.atoms.len();
                            let of_row = if row < own { task.atoms.start + row } else { task.halo[row - own] as usize };
                            prop_assert!(other > atom && of_row == other);
                            found[atom].push(other);
                            found[other].push(atom);
                        }
                        found[atom].extend(singles.edges[singles.first[k]..singles.first[k + 1]].iter().map(|e| e.other as usize));
                        reversed[atom].extend(out.edges[out.first[k]..out.first[k + 1]].iter().map(|e| e.other as usize));
                    }
                    let rows = lists.tasks()[..t].iter().map(|giver| {
                        giver.halo.iter().filter(|&&atom| task.atoms.contains(&(atom as usize))).count()
                    });
                    prop_assert_eq!(task.inflow.len(), rows.sum::<usize>());
                    for inflow in &task.inflow {
                        let giver = &lists.tasks()[inflow.task as usize];
                        prop_assert_eq!(giver.halo[inflow.row as usize] as usize, task.atoms.start + inflow.atom as usize);
                    }
                }
                let sorted = |mut all: Vec<usize>| {
                    all.sort_unstable();
                    all
                };
                for atom in 0..n {
                    let wanted = sorted(of(atom).iter().map(|neighbor| neighbor.other as usize).collect());
                    prop_assert_eq!(&sorted(found[atom].clone()), &wanted);
                    if !is_symmetric {
                        prop_assert_eq!(&sorted(reversed[atom].clone()), &wanted);
                    }
                }
            }
        }
    }
}
