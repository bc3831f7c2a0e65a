//! Graphs of batches: drawn from systems, or joined from graphs.

use super::edges::EdgeList;
use super::search::Search;
use super::{Graph, GraphRule, Neighbors, check};
use crate::Result;
use crate::system::System;

impl GraphRule {
    /// Draws the graph of `systems` as one batch; the same edges as for each system alone, for any number of threads.
    ///
    /// An atom without neighbours is valid and has no edges; an empty batch gives an empty graph.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a cutoff that is not positive and finite, or for `Nearest(0)`. [`Error::System`](crate::Error::System) names
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
    pub(super) fn edges_of(&self, index: usize, system: &System, out: &mut EdgeList) -> Result<()> {
        Search::new(*self, index, system)?.run(out)?;
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
