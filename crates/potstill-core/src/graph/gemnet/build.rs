//! Construction of the graphs of GemNet-OC from systems.

use rayon::prelude::*;

use super::super::edges::EdgeList;
use super::super::{Graph, check};
use super::edge_set::{EdgeSet, Edges};
use super::{GemNetGraph, GemNetRule, Quadruplets, Triplets, select};
use crate::system::System;
use crate::{Error, Result};

impl GemNetRule {
    /// Draws the graphs of `systems` as one batch; the same as for each system alone, for any number of threads.
    ///
    /// A system without edges, triplets or quadruplets is valid.
    ///
    /// # Errors
    /// [`Error::Setting`] for a cutoff that is not positive and finite, for `Nearest(0)`, and for a graph that would
    /// be wider than the one it is cut from. [`Error::System`] names the system by its index for everything that
    /// [`GraphRule::build`](super::super::GraphRule::build) refuses, for tags that are not one per atom, and for more
    /// than about 1e9 triplets or quadruplets. [`Error::Other`] for a batch of more than 2³² of them.
    pub fn build(&self, systems: &[&System]) -> Result<GemNetGraph> {
        self.check()?;
        check::batch(systems)?;
        let graphs: Vec<Result<GemNetGraph>> =
            systems.par_iter().enumerate().map(|(index, system)| self.build_one(index, system)).collect();
        // The first error in order, whichever thread was faster.
        let mut graphs: Vec<GemNetGraph> = graphs.into_iter().collect::<Result<_>>()?;
        match (graphs.len(), graphs.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => {
                graphs.extend(last);
                check_size(&graphs)?;
                Ok(GemNetGraph::concatenate(&graphs.iter().collect::<Vec<_>>()))
            }
        }
    }

    /// The main graph of `systems` alone: the same edges without neighbours of neighbours, at a fraction of the cost.
    ///
    /// # Errors
    /// See [`Self::build`].
    pub fn build_main(&self, systems: &[&System]) -> Result<Graph> {
        self.check()?;
        check::batch(systems)?;
        let graphs: Vec<Result<Graph>> =
            systems.par_iter().enumerate().map(|(index, system)| self.main_of_one(index, system)).collect();
        let graphs: Vec<Graph> = graphs.into_iter().collect::<Result<_>>()?;
        Ok(Graph::concatenate(&graphs.iter().collect::<Vec<_>>()))
    }

    fn main_of_one(&self, index: usize, system: &System) -> Result<Graph> {
        check::system(index, system)?;
        let mut widest = EdgeList::default();
        self.widest().edges_of(index, system, &mut widest)?;
        let main = if self.is_wide() { select::within(&widest, &self.main()) } else { widest };
        Ok(graph_of(system, main.symmetrised(system.n_atoms())))
    }

    /// The graphs of the system that is the `index`th of its batch.
    fn build_one(&self, index: usize, system: &System) -> Result<GemNetGraph> {
        check::system(index, system)?;
        let n_atoms = system.n_atoms();
        if let Some(tags) = system.tags.as_ref().filter(|tags| tags.len() != n_atoms) {
            let message = format!("{} tags for {n_atoms} atoms; give one of each or none", tags.len());
            return Err(check::refuse(index, system, message));
        }
        let mut widest = EdgeList::default();
        self.widest().edges_of(index, system, &mut widest)?;
        let qint = self.quad.then(|| self.qint_of(&widest, system));
        let a2ee2a = (self.atom_edge || self.edge_atom).then(|| select::within(&widest, &self.a2ee2a()).into());
        let main = if self.is_wide() { select::within(&widest, &self.main()) } else { std::mem::take(&mut widest) };
        let main = graph_of(system, main.symmetrised(n_atoms));
        let reverse = main.reverse_edges().ok_or_else(|| {
            check::refuse(index, system, "has a main edge without its reverse, a defect of potstill; please report it")
        })?;
        let a2a = self.atom_atom.then(|| widest.into());
        let edges = GemNetGraph { main, reverse, a2a, a2ee2a, qint, ..GemNetGraph::default() };
        self.with_lists(edges).map_err(|message| check::refuse(index, system, message))
    }

    fn qint_of(&self, widest: &EdgeList, system: &System) -> EdgeSet {
        select::tagged(&select::within(widest, &self.qint()), system, &self.qint_tags).into()
    }

    /// Adds the triplets and quadruplets to the edges of one system.
    fn with_lists(&self, mut graph: GemNetGraph) -> Result<GemNetGraph, String> {
        let n_atoms = graph.main.n_atoms();
        let main = Edges::of_graph(&graph.main);
        let e2e = Triplets::converging(&main, &main, "triplets of main edges")?;
        let (mut a2e, mut e2a) = (None, None);
        if let Some(a2ee2a) = &graph.a2ee2a {
            let a2ee2a = Edges::of_set(a2ee2a, n_atoms);
            if self.atom_edge {
                a2e = Some(Triplets::converging(&a2ee2a, &main, "triplets from atoms to main edges")?);
            }
            if self.edge_atom {
                e2a = Some(Triplets::converging(&main, &a2ee2a, "triplets from main edges to atoms")?);
            }
        }
        let quadruplets = match &graph.qint {
            Some(qint) => Some(Quadruplets::new(&main, &Edges::of_set(qint, n_atoms))?),
            None => None,
        };
        (graph.e2e, graph.a2e, graph.e2a, graph.quadruplets) = (e2e, a2e, e2a, quadruplets);
        Ok(graph)
    }
}

/// A batch of that one system.
fn graph_of(system: &System, edges: EdgeList) -> Graph {
    let EdgeList { source, target, shifts, displacement } = edges;
    Graph {
        system_offsets: vec![0, system.n_atoms()],
        system_index: vec![0; system.n_atoms()],
        atomic_numbers: system.atomic_numbers.clone(),
        source,
        target,
        shifts,
        displacement,
    }
}

/// Refuses a batch with a list whose entries could not be numbered.
fn check_size(graphs: &[GemNetGraph]) -> Result<()> {
    let count = |size: fn(&GemNetGraph) -> usize| graphs.iter().map(size).sum::<usize>();
    let lists = [
        ("main edges", count(|g| g.main.n_edges())),
        ("edges between atoms", count(|g| g.a2a.as_ref().map_or(0, EdgeSet::n_edges))),
        ("edges between atoms and main edges", count(|g| g.a2ee2a.as_ref().map_or(0, EdgeSet::n_edges))),
        ("middle edges of quadruplets", count(|g| g.qint.as_ref().map_or(0, EdgeSet::n_edges))),
        ("triplets of main edges", count(|g| g.e2e.len())),
        ("triplets from atoms to main edges", count(|g| g.a2e.as_ref().map_or(0, Triplets::len))),
        ("triplets from main edges to atoms", count(|g| g.e2a.as_ref().map_or(0, Triplets::len))),
        ("triplets into middle edges", count(|g| g.quadruplets.as_ref().map_or(0, |q| q.input_triplets.len()))),
        ("triplets of middle edges", count(|g| g.quadruplets.as_ref().map_or(0, |q| q.output_triplets.len()))),
        ("quadruplets", count(|g| g.quadruplets.as_ref().map_or(0, Quadruplets::len))),
    ];
    match lists.into_iter().find(|&(_, n)| u32::try_from(n).is_err()) {
        Some((what, n)) => Err(Error::Other(format!("a batch with {n} {what} is too large; use smaller batches"))),
        None => Ok(()),
    }
}
