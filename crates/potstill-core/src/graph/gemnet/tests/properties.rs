//! Random molecules and cells: equal to loops over all edges, and to itself under what must not matter.

use proptest::prelude::*;

use super::*;
use crate::graph::GraphRule;
use crate::graph::gemnet::{GemNetGraph, Triplets};
use crate::graph::tests::properties::system;

fn rule() -> impl Strategy<Value = GemNetRule> {
    let neighbors = || prop_oneof![3 => (1..12usize).prop_map(Neighbors::Nearest), 1 => Just(Neighbors::All)];
    let cutoff = || prop_oneof![1.0..3.0f64, Just(3.0)];
    let flags = any::<[bool; 4]>();
    let limits = (prop::array::uniform3(cutoff()), prop::array::uniform3(neighbors()));
    (limits, 12..40usize, any::<bool>(), flags).prop_map(|((cutoffs, neighbors), most, all, flags)| {
        let [quad, atom_edge, edge_atom, atom_atom] = flags;
        let is_wide = atom_edge || edge_atom || atom_atom;
        // Without a wide graph everything is cut from the main one.
        let (cutoff, nearest) = if is_wide { (cutoffs[0], neighbors[0]) } else { (3.0, Neighbors::All) };
        let all = all || neighbors.contains(&Neighbors::All);
        GemNetRule {
            cutoff,
            cutoff_qint: cutoffs[1],
            cutoff_aeaint: cutoffs[2],
            cutoff_aint: 3.0,
            max_neighbors: nearest,
            max_neighbors_qint: neighbors[1],
            max_neighbors_aeaint: neighbors[2],
            max_neighbors_aint: if all { Neighbors::All } else { Neighbors::Nearest(most) },
            qint_tags: vec![1, 2],
            quad,
            atom_edge,
            edge_atom,
            atom_atom,
        }
    })
}

/// A system whose atoms have tags 0, 1 and 2, or none.
fn tagged_system() -> impl Strategy<Value = System> {
    (system(8), prop::collection::vec(0..3i32, 8), any::<bool>()).prop_map(|(mut system, tags, has_tags)| {
        system.tags = has_tags.then(|| tags[..system.n_atoms()].to_vec());
        system
    })
}

/// Too many edges make naive loops slow.
fn case() -> impl Strategy<Value = (System, GemNetRule)> {
    (tagged_system(), rule()).prop_filter("too many edges for loops over all of them", |(system, _)| {
        let all = GraphRule { cutoff: 3.0, neighbors: Neighbors::All, symmetric: false };
        all.build(&[system]).unwrap().n_edges() < 150
    })
}

/// All pairs of edges that `meet`, by output, then input.
fn naive_triplets(input: &EdgeSet, output: &EdgeSet, meet: impl Fn(Name, Name) -> bool) -> Triplets {
    let (inputs, outputs) = (names(input), names(output));
    let mut triplets = Triplets::default();
    for (o, &out) in outputs.iter().enumerate() {
        for (i, _) in inputs.iter().enumerate().filter(|&(_, &input)| meet(input, out)) {
            triplets.input.push(i as u32);
            triplets.output.push(o as u32);
        }
    }
    triplets
}

/// Input `b -> a`, output `c -> a`.
fn converge((b, at, n): Name, (c, a, m): Name) -> bool {
    at == a && (b, n) != (c, m)
}

/// Input `d -> b`, output `b -> a`.
fn chain((d, at, n): Name, (b, a, m): Name) -> bool {
    at == b && !(d == a && plus(n, m) == [0; 3])
}

/// Main edge `c -> a`, `qint` edge `b -> a`, main edge `d -> b` of all quadruplets.
fn naive_quadruplets(main: &EdgeSet, qint: &EdgeSet) -> Vec<[u32; 3]> {
    let mut all = Vec::new();
    for (out, &(c, a, ca)) in names(main).iter().enumerate() {
        for (middle, &(b, _, ba)) in names(qint).iter().enumerate().filter(|(_, edge)| converge(**edge, (c, a, ca))) {
            for (input, &(d, to, db)) in names(main).iter().enumerate() {
                let is_closed = c == d && plus(db, ba) == ca;
                if chain((d, to, db), (b, a, ba)) && !is_closed {
                    all.push([out as u32, middle as u32, input as u32]);
                }
            }
        }
    }
    all
}

/// The edges of each quadruplet, by way of its two triplets.
fn edges_of_quadruplets(graph: &GemNetGraph) -> Vec<[u32; 3]> {
    let quadruplets = graph.quadruplets.as_ref().unwrap();
    let edges = |q: usize| {
        let (i, o) = (quadruplets.input_triplet[q] as usize, quadruplets.output_triplet[q] as usize);
        let (input, output) = (&quadruplets.input_triplets, &quadruplets.output_triplets);
        assert_eq!(input.output[i], output.input[o], "both halves have one middle edge");
        assert_eq!(quadruplets.output[q], output.output[o]);
        [output.output[o], output.input[o], input.input[i]]
    };
    (0..quadruplets.len()).map(edges).collect()
}

/// The nearest `neighbors` within the cutoff, drawn for this purpose alone.
fn drawn(system: &System, cutoff: f64, neighbors: Neighbors, symmetric: bool) -> EdgeSet {
    set_of(&GraphRule { cutoff, neighbors, symmetric }.build(&[system]).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn edges_equal_graphs_drawn_alone((system, rule) in case()) {
        let graph = rule.build(&[&system]).unwrap();
        prop_assert_eq!(set_of(&graph.main), drawn(&system, rule.cutoff, rule.max_neighbors, true));
        prop_assert_eq!(Some(graph.reverse.clone()), graph.main.reverse_edges());
        prop_assert_eq!(&graph.main, &rule.build_main(&[&system]).unwrap());
        let a2a = drawn(&system, rule.cutoff_aint, rule.max_neighbors_aint, false);
        prop_assert_eq!(&graph.a2a, &rule.atom_atom.then_some(a2a));
        let a2ee2a = drawn(&system, rule.cutoff_aeaint, rule.max_neighbors_aeaint, false);
        prop_assert_eq!(&graph.a2ee2a, &(rule.atom_edge || rule.edge_atom).then_some(a2ee2a));
        let mut qint = names(&drawn(&system, rule.cutoff_qint, rule.max_neighbors_qint, false));
        let tag = |atom: u32| system.tags.as_ref().map_or(2, |tags| tags[atom as usize]);
        qint.retain(|&(source, target, _)| tag(source) > 0 || tag(target) > 0);
        prop_assert_eq!(graph.qint.as_ref().map(names), rule.quad.then_some(qint));
    }

    #[test]
    fn lists_equal_loops_over_all_edges((system, rule) in case()) {
        let graph = rule.build(&[&system]).unwrap();
        let main = set_of(&graph.main);
        prop_assert_eq!(&graph.e2e, &naive_triplets(&main, &main, converge));
        let a2ee2a = graph.a2ee2a.clone().unwrap_or_default();
        prop_assert_eq!(&graph.a2e, &rule.atom_edge.then(|| naive_triplets(&a2ee2a, &main, converge)));
        prop_assert_eq!(&graph.e2a, &rule.edge_atom.then(|| naive_triplets(&main, &a2ee2a, converge)));
        prop_assert_eq!(graph.quadruplets.is_some(), rule.quad);
        if let (Some(quadruplets), Some(qint)) = (&graph.quadruplets, &graph.qint) {
            prop_assert_eq!(&quadruplets.input_triplets, &naive_triplets(&main, qint, chain));
            prop_assert_eq!(&quadruplets.output_triplets, &naive_triplets(qint, &main, converge));
            prop_assert_eq!(edges_of_quadruplets(&graph), naive_quadruplets(&main, qint));
            prop_assert!(quadruplets.output_triplet.is_sorted());
        }
    }

    #[test]
    fn batches_are_joined_graphs(systems in prop::collection::vec(tagged_system(), 0..4), mut rule in rule()) {
        rule.max_neighbors = Neighbors::Nearest(4);
        (rule.max_neighbors_qint, rule.max_neighbors_aeaint) = (Neighbors::Nearest(3), Neighbors::Nearest(4));
        let all: Vec<&System> = systems.iter().collect();
        let singles: Vec<GemNetGraph> = all.iter().map(|system| rule.build(&[system]).unwrap()).collect();
        let batch = rule.build(&all).unwrap();
        prop_assert_eq!(&batch, &GemNetGraph::concatenate(&singles.iter().collect::<Vec<_>>()));
        let main = set_of(&batch.main);
        prop_assert_eq!(&batch.e2e, &naive_triplets(&main, &main, converge));
        prop_assert_eq!(batch.main.reverse_edges(), Some(batch.reverse.clone()));
        if let (Some(qint), true) = (&batch.qint, main.n_edges() < 150) {
            prop_assert_eq!(edges_of_quadruplets(&batch), naive_quadruplets(&main, qint));
        }
        let angles: Vec<f64> = singles.iter().flat_map(|graph| graph.angles().e2e).collect();
        prop_assert_eq!(batch.angles().e2e, angles);
    }
}
