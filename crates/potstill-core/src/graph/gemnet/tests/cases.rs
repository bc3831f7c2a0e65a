//! Small systems whose lists are known, and what is refused.

use super::*;
use crate::graph::gemnet::{GemNetGraph, offsets};

/// Four atoms in a row of a helix: no three on a line.
const CHAIN: [Vec3; 4] = [[0.0, 0.0, 0.0], [1.0, 0.2, 0.0], [1.4, 1.1, 0.3], [2.2, 1.3, 1.1]];

#[test]
fn all_paths_of_four_atoms() {
    let graph = published().build(&[&molecule(&CHAIN)]).unwrap();
    assert_eq!(graph.main.n_edges(), 12);
    assert_eq!(graph.e2e.len(), 12 * 2);
    let quadruplets = graph.quadruplets.unwrap();
    assert_eq!(quadruplets.input_triplets.len(), 12 * 2);
    assert_eq!(quadruplets.output_triplets.len(), 12 * 2);
    // One path over each ordering of four atoms.
    assert_eq!(quadruplets.len(), 24);
    assert_eq!(offsets(&quadruplets.output, 12), (0..=12).map(|e| 2 * e).collect::<Vec<_>>());
}

#[test]
fn few_atoms_have_empty_lists() {
    for (n, n_triplets) in [(1, 0), (2, 0), (3, 6)] {
        let graph = published().build(&[&molecule(&CHAIN[..n])]).unwrap();
        assert_eq!(graph.e2e.len(), n_triplets, "{n} atoms");
        assert_eq!(graph.quadruplets.as_ref().map(|q| q.len()), Some(0), "{n} atoms");
        let angles = graph.angles();
        assert_eq!((angles.e2e.len(), angles.a2e.unwrap().len()), (n_triplets, n_triplets));
        assert!(angles.quadruplets.unwrap().dihedral.is_empty());
    }
    let empty = published().build(&[]).unwrap();
    assert_eq!(empty, GemNetGraph::concatenate(&[]));
    assert_eq!((empty.main.n_atoms(), empty.e2e.len(), empty.quadruplets), (0, 0, None));
}

#[test]
fn an_atom_and_its_images() {
    // A chain of images at 1 Å: each atom has neighbors at -2, -1, 1, 2.
    let system = System {
        cell: Some([[1.0, 0.0, 0.0], [0.0; 3], [0.0; 3]]),
        pbc: [true, false, false],
        ..molecule(&[[0.0; 3]])
    };
    let all = Neighbors::All;
    let rule = GemNetRule {
        cutoff: 2.0,
        cutoff_qint: 2.0,
        max_neighbors: all,
        max_neighbors_qint: all,
        atom_edge: false,
        edge_atom: false,
        atom_atom: false,
        ..published()
    };
    let graph = rule.build(&[&system]).unwrap();
    assert_eq!((graph.a2a.as_ref(), graph.a2ee2a.as_ref(), graph.a2e.as_ref()), (None, None, None));
    assert_eq!(graph.main.shifts, [[-2, 0, 0], [-1, 0, 0], [1, 0, 0], [2, 0, 0]]);
    assert_eq!(graph.reverse, [3, 2, 1, 0]);
    assert_eq!(graph.e2e.len(), 12);
    // Of c, b, d - b in {-2, -1, 1, 2}: c, b, d and 0 all differ.
    let steps = [-2, -1, 1, 2];
    let paths = steps.iter().flat_map(|c| steps.iter().flat_map(move |b| steps.map(move |step| (*c, *b, b + step))));
    let n = paths.filter(|(c, b, d)| c != b && *d != 0 && d != c).count();
    assert_eq!(graph.quadruplets.unwrap().len(), n);
}

#[test]
fn tags_choose_the_middle_edges() {
    let tagged = |tags: [i32; 4]| {
        let system = System { tags: Some(tags.to_vec()), ..molecule(&CHAIN) };
        published().build(&[&system]).unwrap().qint.unwrap().n_edges()
    };
    assert_eq!(tagged([0; 4]), 0);
    assert_eq!(tagged([0, 0, 1, 0]), 6);
    assert_eq!(tagged([0, 2, 1, 0]), 10);
    assert_eq!(tagged([2; 4]), published().build(&[&molecule(&CHAIN)]).unwrap().qint.unwrap().n_edges());
}

#[test]
fn without_a_wide_graph_middle_edges_are_cut_before_symmetry() {
    // Nearest of 0 is 1, of 1 is 2, of 2 is 1: symmetry drops 1 -> 0, which qint keeps.
    let line = molecule(&[[0.0; 3], [1.2, 0.0, 0.0], [2.2, 0.0, 0.0]]);
    let one = Neighbors::Nearest(1);
    let narrow = GemNetRule {
        max_neighbors: one,
        max_neighbors_qint: one,
        atom_edge: false,
        edge_atom: false,
        atom_atom: false,
        ..published()
    };
    let wide = GemNetRule { atom_atom: true, ..narrow.clone() };
    let narrow = narrow.build(&[&line]).unwrap();
    assert_eq!(names(&set_of(&narrow.main)), [(2, 1, [0; 3]), (1, 2, [0; 3])]);
    assert_eq!(names(narrow.qint.as_ref().unwrap()), [(1, 0, [0; 3]), (2, 1, [0; 3]), (1, 2, [0; 3])]);
    let wide = wide.build(&[&line]).unwrap();
    assert_eq!((&wide.main, &wide.qint), (&narrow.main, &narrow.qint));
}

fn refusal(rule: &GemNetRule, systems: &[&System]) -> String {
    rule.build(systems).unwrap_err().to_string()
}

#[test]
fn unusable_rules_are_refused() {
    let system = molecule(&CHAIN);
    for (rule, key) in [
        (GemNetRule { cutoff: f64::NAN, ..published() }, "cutoff:"),
        (GemNetRule { cutoff_qint: 0.0, ..published() }, "cutoff_qint:"),
        (GemNetRule { cutoff_aeaint: 13.0, ..published() }, "cutoff_aeaint:"),
        (GemNetRule { cutoff_aint: 6.0, ..published() }, "cutoff:"),
        (GemNetRule { max_neighbors: Neighbors::Nearest(0), ..published() }, "max_neighbors:"),
        (GemNetRule { max_neighbors_aint: Neighbors::Nearest(25), ..published() }, "max_neighbors:"),
        (GemNetRule { max_neighbors_qint: Neighbors::All, ..published() }, "max_neighbors_qint:"),
    ] {
        let message = refusal(&rule, &[&system]);
        assert!(message.starts_with(key), "{message}");
    }
    // What is switched off may be anything.
    let off =
        GemNetRule { quad: false, cutoff_qint: f64::NAN, max_neighbors_qint: Neighbors::Nearest(0), ..published() };
    assert_eq!(off.build(&[&system]).unwrap().qint, None);
}

#[test]
fn unusable_systems_are_named() {
    let good = molecule(&CHAIN);
    let short = System { tags: Some(vec![1; 3]), ..molecule(&CHAIN) };
    assert!(refusal(&published(), &[&good, &short]).starts_with("system 1: 3 tags for 4 atoms"));
    let twice = molecule(&[[0.0; 3], [0.0; 3]]);
    assert!(refusal(&published(), &[&good, &twice, &short]).starts_with("system 1: atoms 0 and 1 are at one place"));
    assert!(refusal(&published(), &[&System::default()]).contains("no atoms"));
}
