//! Tables from a graph.

use std::sync::Arc;

use burn::tensor::{DType, Device};
use potstill_core::graph::gemnet::{EdgeSet, GemNetGraph, Triplets, offsets};

use super::{AngleTable, AtomTable, EdgeTable, GemNetTables, InputTable, QuadrupletTables};
use crate::ops::HostInputs;
use crate::tensors::{RowIndex, float_tensor};

/// Device and type of the tensors.
struct Place<'a> {
    device: &'a Device,
    dtype: DType,
}

/// Slots of each output on the host.
struct Slots {
    /// First input of each output in its list, and the number of inputs at the end.
    first: Vec<usize>,
    width: usize,
}

impl Slots {
    /// `outputs` ascend.
    fn new(outputs: &[u32], n: usize) -> Self {
        let first = offsets(outputs, n);
        let width = first.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0);
        Self { first, width }
    }

    fn n(&self) -> usize {
        self.first.len() - 1
    }

    /// Each entry of a list in output order with its slot.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.n()).flat_map(move |o| {
            let (start, end) = (self.first[o], self.first[o + 1]);
            (start..end).map(move |entry| (entry, o * self.width + entry - start))
        })
    }

    /// Values of the slots; `fill` where there is none.
    fn spread<T: Copy>(&self, values: &[T], fill: T) -> Vec<T> {
        let mut slots = vec![fill; self.n() * self.width];
        for (entry, slot) in self.pairs() {
            slots[slot] = values[entry];
        }
        slots
    }

    fn inputs(&self, inputs: &[u32], place: &Place) -> InputTable {
        let taken = self.spread(&vec![1.0; inputs.len()], 0.0);
        let input = self.spread(inputs, 0);
        let (n, width) = (self.n(), self.width);
        let counts = self.first.windows(2).map(|w| (w[1] - w[0]) as u32).collect();
        InputTable {
            n,
            width,
            input: index(&input, &taken, place),
            taken: float_tensor(taken, [n, 1, width], place.device, place.dtype),
            host: Arc::new(HostInputs { width, input, taken: counts }),
        }
    }
}

/// Input of each slot; slots that are not taken belong to none.
fn index(input: &[u32], taken: &[f64], place: &Place) -> RowIndex {
    let taken: Vec<bool> = taken.iter().map(|&taken| taken > 0.0).collect();
    RowIndex::masked(input.iter().map(|&i| i as i32).collect(), &taken, place.device)
}

fn angle_table(triplets: &Triplets, n_outputs: usize, cosines: &[f64], place: &Place) -> AngleTable {
    let slots = Slots::new(&triplets.output, n_outputs);
    let cosine = slots.spread(cosines, 0.0);
    AngleTable {
        inputs: slots.inputs(&triplets.input, place),
        cosine: float_tensor(cosine, [slots.n(), 1, slots.width], place.device, place.dtype),
    }
}

fn edge_table(edges: &EdgeSet, place: &Place) -> EdgeTable {
    let n_edges = edges.n_edges();
    EdgeTable {
        n_edges,
        source: RowIndex::new(edges.source.iter().map(|&s| s as i32).collect(), place.device),
        distance: float_tensor(edges.distances(), [n_edges, 1], place.device, place.dtype),
    }
}

/// Edges of each atom in slots, and the inputs of each of those edges in slots of theirs.
fn atom_table(edges: &EdgeSet, triplets: &Triplets, cosines: &[f64], n_atoms: usize, place: &Place) -> AtomTable {
    let by_atom = Slots::new(&edges.target, n_atoms);
    let by_edge = Slots::new(&triplets.output, edges.n_edges());
    let (n, width) = (n_atoms * by_atom.width, by_edge.width);
    let (mut input, mut taken, mut cosine) = (vec![0; n * width], vec![0.0; n * width], vec![0.0; n * width]);
    let mut counts = vec![0; n];
    for (edge, slot) in by_atom.pairs() {
        counts[slot] = (by_edge.first[edge + 1] - by_edge.first[edge]) as u32;
        for (k, triplet) in (by_edge.first[edge]..by_edge.first[edge + 1]).enumerate() {
            input[slot * width + k] = triplets.input[triplet];
            taken[slot * width + k] = 1.0;
            cosine[slot * width + k] = cosines[triplet];
        }
    }
    let edge_numbers: Vec<u32> = (0..edges.n_edges() as u32).collect();
    let tensor = |values| float_tensor(values, [n, 1, width], place.device, place.dtype);
    let numbers = index(&input, &taken, place);
    let host = Arc::new(HostInputs { width, input, taken: counts });
    let inputs = InputTable { n, width, input: numbers, taken: tensor(taken), host };
    AtomTable { edges: by_atom.inputs(&edge_numbers, place), triplets: AngleTable { inputs, cosine: tensor(cosine) } }
}

impl GemNetTables {
    /// Tables of a graph on a device; angles are computed in f64 first.
    pub(crate) fn new(graph: &GemNetGraph, device: &Device, dtype: DType) -> Self {
        let place = &Place { device, dtype };
        let angles = graph.angles();
        let (n_edges, n_atoms) = (graph.main.n_edges(), graph.main.n_atoms());
        let atom_to_edge = graph.a2e.as_ref().zip(angles.a2e.as_ref());
        let edge_to_atom = graph.a2ee2a.as_ref().zip(graph.e2a.as_ref().zip(angles.e2a.as_ref()));
        Self {
            reverse: RowIndex::new(graph.reverse.iter().map(|&r| r as i32).collect(), device),
            edge_to_edge: angle_table(&graph.e2e, n_edges, &angles.e2e, place),
            atom_edge: graph.a2ee2a.as_ref().map(|edges| edge_table(edges, place)),
            atom_to_edge: atom_to_edge.map(|(triplets, cosines)| angle_table(triplets, n_edges, cosines, place)),
            edge_to_atom: edge_to_atom
                .map(|(edges, (triplets, cosines))| atom_table(edges, triplets, cosines, n_atoms, place)),
            atom_to_atom: graph.a2a.as_ref().map(|edges| {
                let numbers: Vec<u32> = (0..edges.n_edges() as u32).collect();
                (edge_table(edges, place), Slots::new(&edges.target, n_atoms).inputs(&numbers, place))
            }),
            quadruplets: quadruplets(graph, &angles, place),
        }
    }

    /// Tables of a batch that sees no neighbours of neighbours.
    pub(crate) fn empty(n_edges: usize, device: &Device, dtype: DType) -> Self {
        let place = &Place { device, dtype };
        Self {
            reverse: RowIndex::new((0..n_edges as i32).collect(), place.device),
            edge_to_edge: angle_table(&Triplets::default(), n_edges, &[], place),
            atom_edge: None,
            atom_to_edge: None,
            edge_to_atom: None,
            atom_to_atom: None,
            quadruplets: None,
        }
    }
}

fn quadruplets(
    graph: &GemNetGraph,
    angles: &potstill_core::graph::gemnet::GemNetAngles,
    place: &Place,
) -> Option<QuadrupletTables> {
    let (lists, inner) = (graph.quadruplets.as_ref()?, graph.qint.as_ref()?);
    let angles = angles.quadruplets.as_ref()?;
    let (before, after) = (&lists.input_triplets, &lists.output_triplets);
    let incoming = Slots::new(&before.output, inner.n_edges());
    let outgoing = Slots::new(&after.output, graph.main.n_edges());
    let (n, width) = (outgoing.n() * outgoing.width, incoming.width);
    let (mut dihedral, mut taken) = (vec![0.0; n * width], vec![0.0; n * width]);
    for (q, (&input, &output)) in lists.input_triplet.iter().zip(&lists.output_triplet).enumerate() {
        let (input, output) = (input as usize, output as usize);
        let edge = after.output[output] as usize;
        let row = edge * outgoing.width + output - outgoing.first[edge];
        let column = input - incoming.first[before.output[input] as usize];
        dihedral[row * width + column] = angles.dihedral[q];
        taken[row * width + column] = 1.0;
    }
    let tensor = |values| float_tensor(values, [n, 1, width], place.device, place.dtype);
    Some(QuadrupletTables {
        inner_distance: float_tensor(inner.distances(), [inner.n_edges(), 1], place.device, place.dtype),
        incoming: angle_table(before, inner.n_edges(), &angles.abd, place),
        outgoing: angle_table(after, graph.main.n_edges(), &angles.cab, place),
        dihedral: tensor(dihedral),
        taken: tensor(taken),
    })
}
