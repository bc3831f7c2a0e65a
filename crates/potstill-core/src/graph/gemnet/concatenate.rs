//! Batches joined from graphs.

use super::super::Graph;
use super::{EdgeSet, GemNetGraph, Quadruplets, Triplets};

impl GemNetGraph {
    /// Joins graphs by one rule into one batch, in order: equal to those of all their systems built as one batch.
    ///
    /// What any of them lacks the batch lacks, so a batch of none has main edges and triplets only, empty. The result
    /// must have fewer than 2³² entries in each list, as anything that fits into a batch has.
    pub fn concatenate(graphs: &[&GemNetGraph]) -> GemNetGraph {
        let starts = Starts::of_all(graphs);
        let mains: Vec<&Graph> = graphs.iter().map(|g| &g.main).collect();
        let triplets = |base: fn(&Starts) -> [u32; 2], list: fn(&GemNetGraph) -> Option<&Triplets>| {
            join(graphs, list, |parts| joined_triplets(&parts, starts.iter().map(base)))
        };
        let edges =
            |set: fn(&GemNetGraph) -> Option<&EdgeSet>| join(graphs, set, |parts| joined_edges(&parts, &starts));
        GemNetGraph {
            main: Graph::concatenate(&mains),
            reverse: shifted(graphs.iter().map(|g| &g.reverse), starts.iter().map(|s| s.main)),
            a2a: edges(|g| g.a2a.as_ref()),
            a2ee2a: edges(|g| g.a2ee2a.as_ref()),
            qint: edges(|g| g.qint.as_ref()),
            e2e: triplets(|s| [s.main, s.main], |g| Some(&g.e2e)).unwrap_or_default(),
            a2e: triplets(|s| [s.a2ee2a, s.main], |g| g.a2e.as_ref()),
            e2a: triplets(|s| [s.main, s.a2ee2a], |g| g.e2a.as_ref()),
            quadruplets: join(graphs, |g| g.quadruplets.as_ref(), |parts| joined_quadruplets(&parts, &starts)),
        }
    }
}

/// Atoms, edges and triplets of all graphs before one of them.
#[derive(Clone, Default)]
struct Starts {
    atom: u32,
    main: u32,
    a2ee2a: u32,
    qint: u32,
    input_triplet: u32,
    output_triplet: u32,
}

impl Starts {
    fn of_all(graphs: &[&GemNetGraph]) -> Vec<Self> {
        let mut next = Self::default();
        let mut all = Vec::with_capacity(graphs.len());
        for graph in graphs {
            all.push(next.clone());
            next.pass(graph);
        }
        all
    }

    fn pass(&mut self, graph: &GemNetGraph) {
        let n_edges = |set: &Option<EdgeSet>| set.as_ref().map_or(0, |set| set.n_edges() as u32);
        self.atom += graph.main.n_atoms() as u32;
        self.main += graph.main.n_edges() as u32;
        self.a2ee2a += n_edges(&graph.a2ee2a);
        self.qint += n_edges(&graph.qint);
        if let Some(quadruplets) = &graph.quadruplets {
            self.input_triplet += quadruplets.input_triplets.len() as u32;
            self.output_triplet += quadruplets.output_triplets.len() as u32;
        }
    }
}

/// Joins a part that all graphs have.
fn join<'a, T: 'a, U>(
    graphs: &[&'a GemNetGraph],
    part: impl Fn(&'a GemNetGraph) -> Option<&'a T>,
    joined: impl Fn(Vec<&'a T>) -> U,
) -> Option<U> {
    let parts: Vec<&T> = graphs.iter().map(|graph| part(graph)).collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| joined(parts))
}

/// All lists, each with its own start added.
fn shifted<'a>(lists: impl Iterator<Item = &'a Vec<u32>> + Clone, starts: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut all = Vec::with_capacity(lists.clone().map(Vec::len).sum());
    for (list, start) in lists.zip(starts) {
        all.extend(list.iter().map(|entry| entry + start));
    }
    all
}

fn joined_edges(parts: &[&EdgeSet], starts: &[Starts]) -> EdgeSet {
    let atoms = || starts.iter().map(|s| s.atom);
    EdgeSet {
        source: shifted(parts.iter().map(|p| &p.source), atoms()),
        target: shifted(parts.iter().map(|p| &p.target), atoms()),
        shifts: parts.iter().map(|p| p.shifts.as_slice()).collect::<Vec<_>>().concat(),
        displacement: parts.iter().map(|p| p.displacement.as_slice()).collect::<Vec<_>>().concat(),
    }
}

fn joined_triplets(parts: &[&Triplets], starts: impl Iterator<Item = [u32; 2]> + Clone) -> Triplets {
    Triplets {
        input: shifted(parts.iter().map(|p| &p.input), starts.clone().map(|s| s[0])),
        output: shifted(parts.iter().map(|p| &p.output), starts.map(|s| s[1])),
    }
}

fn joined_quadruplets(parts: &[&Quadruplets], starts: &[Starts]) -> Quadruplets {
    let inputs: Vec<&Triplets> = parts.iter().map(|p| &p.input_triplets).collect();
    let outputs: Vec<&Triplets> = parts.iter().map(|p| &p.output_triplets).collect();
    Quadruplets {
        input_triplets: joined_triplets(&inputs, starts.iter().map(|s| [s.main, s.qint])),
        output_triplets: joined_triplets(&outputs, starts.iter().map(|s| [s.qint, s.main])),
        output: shifted(parts.iter().map(|p| &p.output), starts.iter().map(|s| s.main)),
        input_triplet: shifted(parts.iter().map(|p| &p.input_triplet), starts.iter().map(|s| s.input_triplet)),
        output_triplet: shifted(parts.iter().map(|p| &p.output_triplet), starts.iter().map(|s| s.output_triplet)),
    }
}
