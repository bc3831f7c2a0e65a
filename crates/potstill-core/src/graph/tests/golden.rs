//! Graphs against those that the OCP code drew, edge by edge.

use std::collections::BTreeMap;
use std::path::Path;

use potstill_fixtures::{cases, file as fixture, files, json, optional};
use safetensors::SafeTensors;
use serde_json::Value;

use super::*;

/// Every structure of the golden set by name.
pub(in crate::graph) fn golden_systems() -> BTreeMap<String, System> {
    files("structures", ".extxyz").iter().flat_map(|path| read_systems(path)).collect()
}

/// Model cases of one architecture, with their settings.
pub(in crate::graph) fn model_cases(architecture: &str) -> Vec<(String, Value)> {
    let read = |case: String| (json(&fixture(&format!("models/{case}/config.json"))), case);
    let is_wanted = |(config, _): &(Value, String)| config["model"]["name"] == architecture;
    let found: Vec<_> = cases("models").into_iter().map(read).filter(is_wanted).collect();
    assert!(!found.is_empty(), "the set has no {architecture}");
    found.into_iter().map(|(config, case)| (case, config)).collect()
}

/// Names in a list of a golden configuration.
pub(in crate::graph) fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// The systems of an extended XYZ file by name; positions, cell and tags (the fifth column) only.
pub(in crate::graph) fn read_systems(path: &Path) -> BTreeMap<String, System> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let mut systems = BTreeMap::new();
    while let Some(n) = lines.next().and_then(|line| line.trim().parse().ok()) {
        let header = lines.next().unwrap();
        let quoted =
            |key: &str| header.split_once(&format!("{key}=\"")).map(|(_, rest)| rest.split('"').next().unwrap());
        let numbers = |text: &str| text.split_whitespace().map(|x| x.parse().unwrap()).collect::<Vec<f64>>();
        let cell =
            quoted("Lattice").map(numbers).map(|x| std::array::from_fn(|k| [x[3 * k], x[3 * k + 1], x[3 * k + 2]]));
        let pbc: Vec<bool> = quoted("pbc").unwrap().split_whitespace().map(|flag| flag == "T").collect();
        let rows: Vec<Vec<&str>> = (0..n).map(|_| lines.next().unwrap().split_whitespace().collect()).collect();
        let positions: Vec<Vec3> =
            rows.iter().map(|row| std::array::from_fn(|x| row[1 + x].parse().unwrap())).collect();
        let tags = rows.iter().map(|row| row.get(4).and_then(|tag| tag.parse().ok())).collect();
        let name = header.split_once("name=").unwrap().1.split_whitespace().next().unwrap();
        let system = System { tags, ..hydrogens(&positions, cell, [pbc[0], pbc[1], pbc[2]]) };
        systems.insert(name.to_owned(), system);
    }
    systems
}

pub(in crate::graph) fn ints(file: &SafeTensors, name: &str) -> Vec<i32> {
    let bytes = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data().to_vec();
    bytes.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub(in crate::graph) fn reals(file: &SafeTensors, name: &str) -> Vec<f64> {
    let bytes = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data().to_vec();
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Names and distances of the edges under `prefix`, sorted by name as ours are.
fn golden_edges(file: &SafeTensors, prefix: &str) -> Vec<(Name, f64)> {
    let mut edges = unsorted_edges(file, prefix);
    edges.sort_by_key(|edge| edge.0);
    edges
}

/// Names and distances of the edges under `prefix`, in the reference's order.
fn unsorted_edges(file: &SafeTensors, prefix: &str) -> Vec<(Name, f64)> {
    let index = ints(file, &format!("{prefix}.edge_index"));
    let (sources, targets) = index.split_at(index.len() / 2);
    // Graphs drawn without a cell carry no offsets.
    let offsets = format!("{prefix}.cell_offset");
    let offsets = if file.tensor(&offsets).is_ok() { ints(file, &offsets) } else { vec![0; 3 * sources.len()] };
    let distances = reals(file, &format!("{prefix}.distance"));
    (0..distances.len())
        .map(|e| {
            let shift = std::array::from_fn(|k| offsets[3 * e + k]);
            ((targets[e] as u32, sources[e] as u32, shift), distances[e])
        })
        .collect()
}

/// Asserts that both hold the same edges with the same distances.
fn assert_same(graph: &Graph, expected: &[(Name, f64)], what: &str) {
    assert_eq!(graph.n_edges(), expected.len(), "{what}: number of edges");
    for ((ours, d), (theirs, expected)) in names(graph).iter().zip(graph.distances()).zip(expected) {
        assert_eq!(ours, theirs, "{what}: first edge that differs");
        assert!((d - expected).abs() <= 1e-12 * expected, "{what}: {ours:?}: {d} instead of {expected}");
    }
}

/// As `assert_same`, but of sources tied at the last rank of a target the reference may have kept others.
///
/// In a cell of a few atoms the images at +n and -n are always tied, and the reference's sort is unstable.
/// Returns the number of edges that differ.
fn assert_same_but_for_ties(graph: &Graph, expected: &[(Name, f64)], what: &str) -> usize {
    let ours: Vec<(Name, f64)> = names(graph).into_iter().zip(graph.distances()).collect();
    let only_in = |a: &[(Name, f64)], b: &[(Name, f64)]| -> Vec<(Name, f64)> {
        a.iter().filter(|edge| b.binary_search_by_key(&edge.0, |other| other.0).is_err()).copied().collect()
    };
    let (mine, theirs) = (only_in(&ours, expected), only_in(expected, &ours));
    let farthest =
        |target: u32| expected.iter().filter(|edge| edge.0.0 == target).map(|edge| edge.1).fold(0.0, f64::max);
    assert_eq!(mine.len(), theirs.len(), "{what}: number of edges");
    for (a, b) in mine.iter().zip(&theirs) {
        assert_eq!(a.0.0, b.0.0, "{what}: target of {a:?} and {b:?}");
        assert!((a.1 - b.1).abs() < 1e-12 * b.1 && (b.1 - farthest(b.0.0)).abs() < 1e-12 * b.1, "{what}: {a:?} {b:?}");
    }
    mine.len()
}

/// The radius graphs of the golden set: settings, systems as the reference saw them, and the file.
fn radius_cases() -> (Value, BTreeMap<String, System>, Vec<u8>) {
    let mut systems = read_systems(&fixture("graphs/structures.extxyz"));
    // The reference never looks along the third axis, whatever pbc says.
    systems.values_mut().for_each(|system| system.pbc[2] = false);
    (json(&fixture("graphs/config.json")), systems, std::fs::read(fixture("graphs/graphs.safetensors")).unwrap())
}

fn rule_of(case: &Value) -> GraphRule {
    nearest(case["cutoff"].as_f64().unwrap(), case["max_neighbors"].as_u64().unwrap() as usize, false)
}

#[test]
fn radius_graphs() {
    let (config, systems, bytes) = radius_cases();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let without_ties = config["tie_gap"].as_object().unwrap();
    let (mut compared, mut unwrapped) = (0, 0);
    for case in config["graphs"].as_array().unwrap() {
        let key = case["key"].as_str().unwrap();
        let name = key.split('.').next().unwrap();
        // A structure may be drawn again; the unwrapped ones are compared below.
        let Some(system) = systems.get(name.trim_end_matches("_again")) else {
            assert!(name.ends_with("_alone") || name.contains("_with_"), "no structure for {key}");
            unwrapped += 1;
            continue;
        };
        let (graph, expected) = (rule_of(case).build(&[system]).unwrap(), golden_edges(&file, key));
        assert_eq!(case["edges_per_image"], serde_json::json!([graph.n_edges()]), "{key}");
        if without_ties.keys().any(|prefix| name.starts_with(prefix)) {
            assert_same(&graph, &expected, key);
        } else {
            assert_same_but_for_ties(&graph, &expected, key);
        }
        compared += 1;
    }
    // Each structure with unwrapped positions was drawn alone and beside another one.
    let n_unwrapped = systems.keys().filter(|name| name.ends_with("_unwrapped")).count();
    assert!(compared > 0 && n_unwrapped > 0, "{compared} graphs and {n_unwrapped} unwrapped structures");
    assert_eq!(unwrapped, 2 * n_unwrapped);
}

#[test]
fn unwrapped_positions_lose_no_edges() {
    let (config, systems, bytes) = radius_cases();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let is_pair = |case: &&Value| case["key"].as_str().unwrap().contains("_with_");
    let case = config["graphs"].as_array().unwrap().iter().find(is_pair).unwrap();
    let key = case["key"].as_str().unwrap();
    let (name, other) = key.split('.').next().unwrap().split_once("_with_").unwrap();
    let unwrapped = &systems[name];
    let (_, tiny) = systems.iter().find(|(system, _)| system.starts_with(other)).unwrap();
    let rule = rule_of(case);
    // Alone the reference loses edges; beside a tiny cell it finds them all. Ours always does.
    let alone = rule.build(&[unwrapped]).unwrap();
    let batch = rule.build(&[unwrapped, tiny]).unwrap();
    let tied = assert_same_but_for_ties(&batch, &golden_edges(&file, key), "batch");
    assert!(tied <= 1, "only the tiny cell has ties");
    assert_eq!(batch, Graph::concatenate(&[&alone, &rule.build(&[tiny]).unwrap()]));
    let lengths = |mut d: Vec<f64>| {
        d.sort_by(f64::total_cmp);
        d
    };
    let wrapped = rule.build(&[&systems[name.trim_end_matches("_unwrapped")]]).unwrap();
    assert_eq!(alone.n_edges(), wrapped.n_edges());
    for (a, b) in lengths(alone.distances()).iter().zip(lengths(wrapped.distances())) {
        // The moved atom is written with eight decimals.
        assert!((a - b).abs() < 2e-8, "{a} {b}");
    }
}

/// The graphs of all cases of an architecture: each of their structures with the rule of the case.
fn model_graphs(architecture: &str) {
    let systems = golden_systems();
    for (case, config) in model_cases(architecture) {
        let cutoff = config["model"]["cutoff"].as_f64().unwrap();
        // SchNet's 50 is written in the reference's code.
        let k = config["model"]["max_neighbors"].as_u64().unwrap_or(50) as usize;
        let symmetric = architecture == "painn";
        let mut compared = 0;
        for name in strings(&config["structures"]) {
            let Some(path) = optional(&format!("models/{case}/graph_{name}.safetensors")) else { continue };
            let bytes = std::fs::read(path).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let what = format!("{case} {name}");
            let graph = nearest(cutoff, k, symmetric).build(&[&systems[name]]).unwrap();
            assert_same(&graph, &golden_edges(&file, "main"), &what);
            if symmetric {
                let radius = nearest(cutoff, k, false).build(&[&systems[name]]).unwrap();
                assert_same(&radius, &golden_edges(&file, "radius"), &what);
                assert_vectors_and_reverse(&graph, &file, &what);
            }
            compared += 1;
        }
        assert!(compared > 0, "{case} has no graphs");
    }
}

/// Directions and reverse edges, edge by edge of the reference.
fn assert_vectors_and_reverse(graph: &Graph, file: &SafeTensors, what: &str) {
    let edges = unsorted_edges(file, "main");
    let (vectors, swap) = (reals(file, "main.vector"), ints(file, "main.id_swap"));
    let ours: Vec<usize> = edges.iter().map(|(name, _)| names(graph).binary_search(name).unwrap()).collect();
    let reverse = graph.reverse_edges().expect("symmetric");
    for (e, &our) in ours.iter().enumerate() {
        assert_eq!(reverse[our] as usize, ours[swap[e] as usize], "{what}: reverse of {:?}", edges[e].0);
        for x in 0..3 {
            let direction = graph.displacement[our][x] / edges[e].1;
            assert!((direction - vectors[3 * e + x]).abs() < 1e-12, "{what}: direction of {:?}", edges[e].0);
        }
    }
}

#[test]
fn painn() {
    model_graphs("painn");
}

#[test]
fn schnet() {
    model_graphs("schnet");
}
