//! Against the graphs that the OCP code drew, edge by edge, and the lengths of its lists.

use std::collections::BTreeMap;

use potstill_fixtures::optional;
use safetensors::SafeTensors;

use super::*;
use crate::graph::gemnet::{GemNetGraph, Triplets};
use crate::graph::tests::golden::{golden_systems, ints, model_cases, reals, strings};

fn rule_of(model: &serde_json::Value) -> GemNetRule {
    let cutoff = |key: &str| model[key].as_f64().unwrap();
    let nearest = |key: &str| Neighbors::Nearest(model[key].as_u64().unwrap() as usize);
    let is_on = |key: &str| model[key].as_bool().unwrap();
    GemNetRule {
        cutoff: cutoff("cutoff"),
        cutoff_qint: cutoff("cutoff_qint"),
        cutoff_aeaint: cutoff("cutoff_aeaint"),
        cutoff_aint: cutoff("cutoff_aint"),
        max_neighbors: nearest("max_neighbors"),
        max_neighbors_qint: nearest("max_neighbors_qint"),
        max_neighbors_aeaint: nearest("max_neighbors_aeaint"),
        max_neighbors_aint: nearest("max_neighbors_aint"),
        qint_tags: model["qint_tags"].as_array().unwrap().iter().map(|tag| tag.as_i64().unwrap() as i32).collect(),
        quad: is_on("quad_interaction"),
        atom_edge: is_on("atom_edge_interaction"),
        edge_atom: is_on("edge_atom_interaction"),
        atom_atom: is_on("atom_interaction"),
    }
}

/// Name of each edge of the reference, in its order; shifts as ours, zero where it kept none.
fn golden_names(file: &SafeTensors, graph: &str) -> Vec<Name> {
    let index = ints(file, &format!("{graph}.edge_index"));
    let (sources, targets) = index.split_at(index.len() / 2);
    let offsets = format!("{graph}.cell_offset");
    let offsets = if file.tensor(&offsets).is_ok() { ints(file, &offsets) } else { vec![0; index.len() / 2 * 3] };
    (0..sources.len())
        .map(|e| (sources[e] as u32, targets[e] as u32, std::array::from_fn(|k| -offsets[3 * e + k])))
        .collect()
}

fn assert_edges(ours: &EdgeSet, file: &SafeTensors, graph: &str, what: &str) {
    let what = format!("{what} {graph}");
    let theirs = golden_names(file, graph);
    assert_eq!(ours.n_edges(), theirs.len(), "{what}: number of edges");
    if file.tensor(&format!("{graph}.vector")).is_err() {
        return assert_pairs(ours, &theirs, &what);
    }
    let (distances, vectors) = (reals(file, &format!("{graph}.distance")), reals(file, &format!("{graph}.vector")));
    let place: BTreeMap<Name, usize> = theirs.iter().enumerate().map(|(e, &name)| (name, e)).collect();
    for (e, (name, d)) in names(ours).iter().zip(ours.distances()).enumerate() {
        let theirs = *place.get(name).unwrap_or_else(|| panic!("{what}: the reference lacks {name:?}"));
        assert!((d - distances[theirs]).abs() <= 1e-12 * d, "{what}: {name:?}: {d}");
        for (k, x) in ours.displacement[e].iter().enumerate() {
            let expected = -vectors[3 * theirs + k];
            assert!((x / d - expected).abs() <= 1e-12, "{what}: {name:?}: {} {expected}", x / d);
        }
    }
}

/// For large graphs the reference's atoms were kept, not its shifts.
fn assert_pairs(ours: &EdgeSet, theirs: &[Name], what: &str) {
    let sorted = |names: &[Name]| {
        let mut pairs: Vec<_> = names.iter().map(|&(source, target, _)| (source, target)).collect();
        pairs.sort_unstable();
        pairs
    };
    assert_eq!(sorted(&names(ours)), sorted(theirs), "{what}");
}

/// Asserts that a list has the reference's length and, where the reference's entries were kept, the same entries.
fn assert_triplets(ours: &Triplets, edges: [&EdgeSet; 2], file: &SafeTensors, key: &str, graphs: [&str; 2]) {
    if file.tensor(&format!("{key}.in")).is_err() {
        return assert_eq!(ours.len(), ints(file, &format!("{key}.in.count"))[0] as usize, "{key}");
    }
    let named = |input: &[u32], output: &[u32], names: [Vec<Name>; 2]| {
        let mut all: Vec<_> =
            input.iter().zip(output).map(|(&i, &o)| (names[0][i as usize], names[1][o as usize])).collect();
        all.sort_unstable();
        all
    };
    let unsigned = |name: String| ints(file, &name).into_iter().map(|x| x as u32).collect::<Vec<_>>();
    let (input, output) = (unsigned(format!("{key}.in")), unsigned(format!("{key}.out")));
    let theirs = named(&input, &output, graphs.map(|graph| golden_names(file, graph)));
    assert_eq!(named(&ours.input, &ours.output, edges.map(names)), theirs, "{key}");
}

fn assert_lists(graph: &GemNetGraph, file: &SafeTensors) {
    let main = &set_of(&graph.main);
    assert_triplets(&graph.e2e, [main, main], file, "trip_e2e", ["main", "main"]);
    let a2ee2a = graph.a2ee2a.as_ref().unwrap();
    assert_triplets(graph.a2e.as_ref().unwrap(), [a2ee2a, main], file, "trip_a2e", ["a2ee2a", "main"]);
    assert_triplets(graph.e2a.as_ref().unwrap(), [main, a2ee2a], file, "trip_e2a", ["main", "a2ee2a"]);
    if let Some(quadruplets) = &graph.quadruplets {
        let qint = graph.qint.as_ref().unwrap();
        assert_triplets(&quadruplets.input_triplets, [main, qint], file, "quad.triplet_in", ["main", "qint"]);
        assert_triplets(&quadruplets.output_triplets, [qint, main], file, "quad.triplet_out", ["qint", "main"]);
        let out = ["quad.out", "quad.trip_in_to_quad", "quad.trip_out_to_quad"].map(|key| {
            let count = format!("{key}.count");
            if file.tensor(&count).is_ok() { ints(file, &count)[0] as usize } else { ints(file, key).len() }
        });
        assert_eq!([quadruplets.len(); 3], out, "quadruplets");
    }
}

fn model_case(case: &str, config: &serde_json::Value, systems: &BTreeMap<String, System>) {
    let rule = rule_of(&config["model"]);
    // Molecules of less than four atoms have no file: the reference cannot run them alone.
    let too_small = strings(&config["computed_inside_a_batch_because_too_small_alone"]);
    let mut compared = 0;
    for name in strings(&config["structures"]).into_iter().filter(|name| !too_small.contains(name)) {
        let Some(path) = optional(&format!("models/{case}/graph_{name}.safetensors")) else { continue };
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let graph = rule.build(&[&systems[name]]).unwrap();
        let what = format!("{case} {name}");
        assert_edges(&set_of(&graph.main), &file, "main", &what);
        for (edges, key) in [(&graph.a2a, "a2a"), (&graph.a2ee2a, "a2ee2a"), (&graph.qint, "qint")] {
            let is_there = file.tensor(&format!("{key}.edge_index")).is_ok();
            assert_eq!(edges.is_some(), is_there, "{what} {key}");
            edges.iter().for_each(|edges| assert_edges(edges, &file, key, &what));
        }
        assert_lists(&graph, &file);
        compared += 1;
    }
    assert!(compared > 0, "{case} has no graphs");
}

#[test]
fn gemnet_oc() {
    let systems = golden_systems();
    for (case, config) in model_cases("gemnet_oc") {
        model_case(&case, &config, &systems);
    }
}
