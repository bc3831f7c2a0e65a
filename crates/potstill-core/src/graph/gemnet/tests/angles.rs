//! Angles of paths that were built with known ones.

use std::f64::consts::{FRAC_PI_2, PI};

use super::*;
use crate::graph::gemnet::GemNetGraph;
use crate::system::dot;

/// Atoms d, b, a, c in this order, bent by `abd` and `cab`, turned by `dihedral` (0: d and c on one side).
fn path(abd: f64, cab: f64, dihedral: f64) -> System {
    let (b, a) = ([0.0; 3], [1.3, 0.0, 0.0]);
    let d = [1.1 * abd.cos(), 1.1 * abd.sin(), 0.0];
    let c = [1.3 - 0.9 * cab.cos(), 0.9 * cab.sin() * dihedral.cos(), 0.9 * cab.sin() * dihedral.sin()];
    molecule(&[d, b, a, c])
}

/// Cosines of `abd` and `cab`, and the dihedral angle, of the one quadruplet 0 -> 1 -> 2 <- 3.
fn of_path(graph: &GemNetGraph) -> [f64; 3] {
    let (quadruplets, qint) = (graph.quadruplets.as_ref().unwrap(), graph.qint.as_ref().unwrap());
    let angles = graph.angles().quadruplets.unwrap();
    let (inputs, outputs) = (&quadruplets.input_triplets, &quadruplets.output_triplets);
    let is_path = |q: &usize| {
        let (i, o) = (quadruplets.input_triplet[*q] as usize, quadruplets.output_triplet[*q] as usize);
        let (d, b) = (graph.main.source[inputs.input[i] as usize], qint.source[inputs.output[i] as usize]);
        (d, b, graph.main.source[outputs.output[o] as usize]) == (0, 1, 3)
    };
    let q = (0..quadruplets.len()).find(is_path).unwrap();
    let (i, o) = (quadruplets.input_triplet[q] as usize, quadruplets.output_triplet[q] as usize);
    [angles.abd[i], angles.cab[o], angles.dihedral[q]]
}

#[test]
fn built_paths_have_their_angles() {
    for (abd, cab, dihedral) in [(1.9, 1.2, 0.4), (0.8, 2.5, 2.0), (2.0, 2.0, PI), (1.5, 1.5, -1.0), (1.0, 1.0, 0.0)] {
        let graph = published().build(&[&path(abd, cab, dihedral)]).unwrap();
        let [cos_abd, cos_cab, turned] = of_path(&graph);
        // d -> b and b -> a point end to end: the cosine is that of the outer angle.
        assert!((cos_abd + abd.cos()).abs() < 1e-12, "{cos_abd} {abd}");
        assert!((cos_cab - cab.cos()).abs() < 1e-12, "{cos_cab} {cab}");
        // Without orientation: as far to the left as to the right.
        assert!((turned - dihedral.abs()).abs() < 2e-8, "{turned} {dihedral}");
    }
}

#[test]
fn atoms_on_a_line_have_a_right_dihedral_angle() {
    let line = molecule(&[[0.0; 3], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]]);
    assert_eq!(of_path(&published().build(&[&line]).unwrap()), [1.0, -1.0, FRAC_PI_2]);
}

#[test]
fn cosines_are_those_of_the_displacements() {
    let graph = published().build(&[&path(1.9, 1.2, 0.4)]).unwrap();
    let (main, a2ee2a, angles) = (set_of(&graph.main), graph.a2ee2a.clone().unwrap(), graph.angles());
    let lists = [
        (&graph.e2e, &angles.e2e, &main, &main),
        (graph.a2e.as_ref().unwrap(), angles.a2e.as_ref().unwrap(), &a2ee2a, &main),
        (graph.e2a.as_ref().unwrap(), angles.e2a.as_ref().unwrap(), &main, &a2ee2a),
    ];
    for (triplets, cosines, input, output) in lists {
        assert_eq!((triplets.len(), cosines.len()), (24, 24));
        for (t, cosine) in cosines.iter().enumerate() {
            let (u, w) =
                (input.displacement[triplets.input[t] as usize], output.displacement[triplets.output[t] as usize]);
            let expected = dot(u, w) / (dot(u, u) * dot(w, w)).sqrt();
            assert!((cosine - expected).abs() < 1e-14);
        }
    }
}
