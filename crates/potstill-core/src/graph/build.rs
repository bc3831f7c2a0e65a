//! From candidates to edges: exact distances, the two rules, threads, batches.

use rayon::prelude::*;

use super::cell_list::{CellList, Key, key_source};
use super::edges::EdgeList;
use super::frame::Frame;
use super::{Graph, GraphRule, Neighbors, check};
use crate::system::{System, Vec3, dot};
use crate::{Error, Result};

/// Free systems of at most that many atoms are searched pair by pair.
const MAX_DIRECT_ATOMS: usize = 50;
/// Targets that one thread takes at a time, in systems larger than that.
const ATOMS_PER_TASK: usize = 1024;
/// Square of the distance in Å up to which two atoms are at one place.
const SAME_PLACE: f64 = 1e-8;

impl GraphRule {
    /// Draws the graph of `systems` as one batch; the same edges as for each system alone, for any number of threads.
    ///
    /// An atom without neighbours is valid and has no edges; an empty batch gives an empty graph.
    ///
    /// # Errors
    /// [`Error::Setting`] for a cutoff that is not positive and finite, or for `Nearest(0)`. [`Error::System`] names
    /// the system by its index for: no atoms, arrays of different lengths, a position that is not finite (or beyond
    /// 1e8 Å), pbc without a cell or with one of zero volume, two atoms (or an atom and an image) within 1e-4 Å of
    /// each other, a cell so small that more than a million of its images lie within the cutoff, and more than about
    /// 1e9 edges.
    pub fn build(&self, systems: &[&System]) -> Result<Graph> {
        check::rule(self)?;
        check::batch(systems)?;
        let mut graph = Graph { system_offsets: vec![0], ..Graph::default() };
        let mut edges = EdgeList::default();
        let mut own = EdgeList::default();
        for (index, system) in systems.iter().enumerate() {
            check::system(index, system)?;
            let base = graph.n_atoms() as u32;
            own.clear();
            self.edges_of(index, system, &mut own)?;
            if systems.len() == 1 {
                edges = std::mem::take(&mut own);
            } else {
                edges.extend_shifted(&own, base);
            }
            if u32::try_from(edges.len()).is_err() {
                let message = format!("brings the batch to {} edges; use smaller batches", edges.len());
                return Err(check::refuse(index, system, message));
            }
            graph.atomic_numbers.extend_from_slice(&system.atomic_numbers);
            graph.system_index.resize(graph.atomic_numbers.len(), index as u32);
            graph.system_offsets.push(graph.atomic_numbers.len());
        }
        let EdgeList { source, target, shifts, displacement } = edges;
        graph = Graph { source, target, shifts, displacement, ..graph };
        graph.shrink_to_fit();
        Ok(graph)
    }

    /// Writes the edges of one system to `out`.
    fn edges_of(&self, index: usize, system: &System, out: &mut EdgeList) -> Result<()> {
        let in_system = |message: String| check::refuse(index, system, message);
        let frame = Frame::new(system).map_err(in_system)?;
        let direct = system.positions.len() <= MAX_DIRECT_ATOMS && !frame.periodic.contains(&true);
        let cells = if direct { None } else { Some(CellList::new(system, &frame, self.cutoff).map_err(in_system)?) };
        let search = Search { rule: *self, index, system, frame, cells };
        search.run(out)?;
        if self.symmetric && self.neighbors != Neighbors::All {
            *out = out.symmetrised(system.positions.len());
        }
        Ok(())
    }
}

impl Graph {
    /// Joins graphs into one batch, in order: equal to the graph of all their systems built as one batch by one rule.
    ///
    /// The result must have fewer than 2³² atoms and edges, as anything that fits into a batch has.
    pub fn concatenate(graphs: &[&Graph]) -> Graph {
        let mut all = Graph { system_offsets: vec![0], ..Graph::default() };
        let n_edges = graphs.iter().map(|g| g.n_edges()).sum();
        let n_atoms = graphs.iter().map(|g| g.n_atoms()).sum();
        all.reserve_exact(graphs.iter().map(|g| g.n_systems()).sum(), n_atoms, n_edges);
        for graph in graphs {
            let (base, base_system) = (all.n_atoms(), all.n_systems() as u32);
            all.system_offsets.extend(graph.system_offsets.iter().skip(1).map(|offset| offset + base));
            all.system_index.extend(graph.system_index.iter().map(|i| i + base_system));
            all.atomic_numbers.extend_from_slice(&graph.atomic_numbers);
            all.source.extend(graph.source.iter().map(|s| s + base as u32));
            all.target.extend(graph.target.iter().map(|t| t + base as u32));
            all.shifts.extend_from_slice(&graph.shifts);
            all.displacement.extend_from_slice(&graph.displacement);
        }
        all
    }

    fn reserve_exact(&mut self, n_systems: usize, n_atoms: usize, n_edges: usize) {
        self.system_offsets.reserve_exact(n_systems);
        self.system_index.reserve_exact(n_atoms);
        self.atomic_numbers.reserve_exact(n_atoms);
        self.source.reserve_exact(n_edges);
        self.target.reserve_exact(n_edges);
        self.shifts.reserve_exact(n_edges);
        self.displacement.reserve_exact(n_edges);
    }

    /// Graphs are kept for a whole training: gives back what growing reserved.
    fn shrink_to_fit(&mut self) {
        self.source.shrink_to_fit();
        self.target.shrink_to_fit();
        self.shifts.shrink_to_fit();
        self.displacement.shrink_to_fit();
    }
}

/// An edge into some target, with what the rules decide on.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    key: Key,
    distance2: f64,
    shift: [i32; 3],
    displacement: Vec3,
}

/// The search for the edges of one system.
struct Search<'a> {
    rule: GraphRule,
    index: usize,
    system: &'a System,
    frame: Frame,
    /// Absent for small free systems, which are searched pair by pair.
    cells: Option<CellList>,
}

impl Search<'_> {
    /// Appends the edges of all targets in order.
    fn run(&self, out: &mut EdgeList) -> Result<()> {
        let n = self.system.positions.len();
        if n <= ATOMS_PER_TASK || rayon::current_num_threads() == 1 {
            return self.run_part(0..n, out);
        }
        let tasks = n.div_ceil(ATOMS_PER_TASK);
        let parts: Vec<Result<EdgeList>> = (0..tasks)
            .into_par_iter()
            .map(|task| {
                let mut part = EdgeList::default();
                let start = task * ATOMS_PER_TASK;
                self.run_part(start..n.min(start + ATOMS_PER_TASK), &mut part).map(|()| part)
            })
            .collect();
        out.reserve_exact(parts.iter().flatten().map(EdgeList::len).sum());
        for part in parts {
            // The first error in order of the atoms, whichever thread was faster.
            out.extend_shifted(&part?, 0);
        }
        Ok(())
    }

    fn run_part(&self, targets: std::ops::Range<usize>, out: &mut EdgeList) -> Result<()> {
        let (mut keys, mut candidates) = (Vec::new(), Vec::new());
        for target in targets {
            self.keys(target, &mut keys);
            match self.rule.neighbors {
                Neighbors::All => {
                    keys.sort_unstable();
                    for &key in &keys {
                        if let Some(edge) = self.candidate(target, key)? {
                            out.push(key_source(key) as u32, target as u32, edge.shift, edge.displacement);
                        }
                    }
                }
                Neighbors::Nearest(k) => {
                    candidates.clear();
                    for &key in &keys {
                        candidates.extend(self.candidate(target, key)?);
                    }
                    keep_nearest(&mut candidates, k);
                    for edge in &candidates {
                        out.push(key_source(edge.key) as u32, target as u32, edge.shift, edge.displacement);
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the keys of all atoms that may be neighbours of `target`, in any order.
    fn keys(&self, target: usize, keys: &mut Vec<Key>) {
        match &self.cells {
            Some(cells) => cells.candidates(target, keys),
            None => {
                keys.clear();
                keys.extend((0..self.system.positions.len()).map(|source| (source as Key) << 32));
            }
        }
    }

    /// The edge of that key, none if it is too long or the atom itself.
    fn candidate(&self, target: usize, key: Key) -> Result<Option<Candidate>> {
        let source = key_source(key);
        let shift = self.cells.as_ref().map_or([0; 3], |cells| cells.shift(target, key));
        let (from, to) = (self.system.positions[source], self.system.positions[target]);
        let translation = self.frame.translation(shift);
        // From the positions as given, so that an edge and its reverse are exact opposites and both or neither kept.
        let displacement: Vec3 = std::array::from_fn(|x| from[x] - to[x] + translation[x]);
        let distance2 = dot(displacement, displacement);
        if distance2 > self.rule.cutoff * self.rule.cutoff {
            return Ok(None);
        }
        if distance2 <= SAME_PLACE {
            return if source == target && shift == [0; 3] { Ok(None) } else { Err(self.clash(source, target, shift)) };
        }
        Ok(Some(Candidate { key, distance2, shift, displacement }))
    }

    #[cold]
    fn clash(&self, source: usize, target: usize, shift: [i32; 3]) -> Error {
        let (low, high) = (source.min(target), source.max(target));
        let through = if shift == [0; 3] { "" } else { " (through the periodic boundary)" };
        let message = if low == high {
            format!("atom {low} and its own image {shift:?} are at one place; check the cell and the units")
        } else {
            format!("atoms {low} and {high} are at one place{through}; remove one of them")
        };
        check::refuse(self.index, self.system, message)
    }
}

/// Keeps the `k` nearest candidates, sorted by key; ties go to the smaller key.
fn keep_nearest(candidates: &mut Vec<Candidate>, k: usize) {
    if candidates.len() > k {
        candidates.select_nth_unstable_by(k, |a, b| a.distance2.total_cmp(&b.distance2).then(a.key.cmp(&b.key)));
        candidates.truncate(k);
    }
    candidates.sort_unstable_by_key(|candidate| candidate.key);
}
