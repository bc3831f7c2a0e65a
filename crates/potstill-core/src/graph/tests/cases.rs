//! Small graphs that can be checked by hand.

use super::*;

const CUBE: Option<Mat3> = Some([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]);

#[test]
fn dimer_has_two_opposite_edges_at_the_cutoff() {
    let system = hydrogens(&[[0.0; 3], [0.0, 0.0, 1.5]], None, [false; 3]);
    let graph = all(1.5).build(&[&system]).unwrap();
    assert_eq!((graph.source.as_slice(), graph.target.as_slice()), ([1, 0].as_slice(), [0, 1].as_slice()));
    assert_eq!(graph.displacement, [[0.0, 0.0, 1.5], [0.0, 0.0, -1.5]]);
    assert_eq!(graph.reverse_edges(), Some(vec![1, 0]));
    assert_eq!(all(1.4999).build(&[&system]).unwrap().n_edges(), 0, "the cutoff is inclusive, nothing beyond it");
}

#[test]
fn isolated_atoms_are_valid() {
    let far = hydrogens(&[[0.0; 3], [50.0, 0.0, 0.0]], None, [false; 3]);
    let graph = nearest(6.0, 50, true).build(&[&far]).unwrap();
    assert_eq!((graph.n_atoms(), graph.n_edges(), graph.first_edges()), (2, 0, vec![0, 0, 0]));
}

#[test]
fn an_atom_sees_its_own_images() {
    let one = |pbc| all(2.0).build(&[&hydrogens(&[[0.3; 3]], CUBE, pbc)]).unwrap();
    assert_eq!(one([true; 3]).n_edges(), 6);
    assert_eq!(one([true, true, false]).n_edges(), 4);
    let chain = one([false, false, true]);
    assert_eq!(chain.shifts, [[0, 0, -1], [0, 0, 1]]);
    assert_eq!(chain.displacement, [[0.0, 0.0, -2.0], [0.0, 0.0, 2.0]]);
    assert_eq!(one([false; 3]).n_edges(), 0);
}

#[test]
fn shifts_refer_to_positions_as_given() {
    let inside = hydrogens(&[[0.1; 3], [1.9, 0.1, 0.1]], CUBE, [true; 3]);
    let outside = hydrogens(&[[0.1; 3], [1.9 + 6.0, 0.1, 0.1 - 4.0]], CUBE, [true; 3]);
    let (near, far) = (all(0.5).build(&[&inside]).unwrap(), all(0.5).build(&[&outside]).unwrap());
    assert_eq!(near.shifts, [[-1, 0, 0], [1, 0, 0]]);
    assert_eq!(far.shifts, [[-4, 0, 2], [4, 0, -2]]);
    assert!((far.displacement[0][0] + 0.2).abs() < 1e-14);
}

#[test]
fn ties_go_to_the_smaller_source_then_the_smaller_shift() {
    // The middle atom has two neighbours at one distance; so has each atom of a chain of images.
    let line = hydrogens(&[[-1.0, 0.0, 0.0], [0.0; 3], [1.0, 0.0, 0.0]], None, [false; 3]);
    let graph = nearest(1.5, 1, false).build(&[&line]).unwrap();
    assert_eq!(graph.source, [1, 0, 1]);
    let chain = hydrogens(&[[0.0; 3]], CUBE, [true, false, false]);
    assert_eq!(nearest(3.0, 1, false).build(&[&chain]).unwrap().shifts, [[-1, 0, 0]]);
    assert_eq!(nearest(3.0, 1, true).build(&[&chain]).unwrap().shifts, [[-1, 0, 0], [1, 0, 0]]);
}

#[test]
fn symmetrisation_asks_the_higher_index() {
    // Each atom's nearest: 0 -> 1, 1 -> 2, 2 -> 1. Of the pair (0, 1) atom 1 decides, and it does not list atom 0.
    let line = hydrogens(&[[0.0; 3], [1.2, 0.0, 0.0], [2.2, 0.0, 0.0]], None, [false; 3]);
    let graph = nearest(3.0, 1, true).build(&[&line]).unwrap();
    assert_eq!(names(&graph), [(1, 2, [0; 3]), (2, 1, [0; 3])]);
}

#[test]
fn stray_atoms_do_not_spoil_the_bins() {
    let mut positions: Vec<Vec3> = (0..300)
        .map(|i| std::array::from_fn(|x| (f64::from(i) * [0.618_034, 0.414_214, 0.732_051][x]).fract() * 12.0))
        .collect();
    positions.push([1e7, -3e6, 2.0]);
    let system = hydrogens(&positions, None, [false; 3]);
    assert_edges(&all(2.5).build(&[&system]).unwrap(), &brute_force(&system, 2.5));
}

#[test]
fn flat_and_straight_free_systems_work() {
    for positions in [
        (0..200).map(|i| [f64::from(i), 0.0, 0.0]).collect::<Vec<Vec3>>(),
        (0..200).map(|i| [f64::from(i % 15), f64::from(i / 15), 7.0]).collect(),
    ] {
        let system = hydrogens(&positions, None, [false; 3]);
        assert_edges(&all(2.5).build(&[&system]).unwrap(), &brute_force(&system, 2.5));
    }
}

#[test]
fn empty_batch_and_counts() {
    let graph = all(5.0).build(&[]).unwrap();
    assert_eq!((graph.n_systems(), graph.n_atoms(), graph.n_edges()), (0, 0, 0));
    assert_eq!(Graph::concatenate(&[]), graph);
    let pair = hydrogens(&[[0.0; 3], [1.0, 0.0, 0.0]], None, [false; 3]);
    let graph = all(5.0).build(&[&pair, &pair]).unwrap();
    assert_eq!(graph.system_offsets, [0, 2, 4]);
    assert_eq!(graph.system_index, [0, 0, 1, 1]);
    assert_eq!(graph.first_edges(), [0, 1, 2, 3, 4]);
    assert_eq!(graph.distances(), [1.0; 4]);
}

#[test]
fn large_free_systems_equal_brute_force() {
    // More atoms than one task takes, far from the origin.
    let positions: Vec<Vec3> = (0..1500)
        .map(|i| std::array::from_fn(|x| (f64::from(i) * [0.618_034, 0.414_214, 0.732_051][x]).fract() * 20.0 - 500.0))
        .collect();
    let system = hydrogens(&positions, None, [false; 3]);
    let edges = brute_force(&system, 2.5);
    assert_edges(&all(2.5).build(&[&system]).unwrap(), &edges);
    let nearest_edges = brute_nearest(&edges, 6);
    assert_edges(&nearest(2.5, 6, false).build(&[&system]).unwrap(), &nearest_edges);
    assert_edges(&nearest(2.5, 6, true).build(&[&system]).unwrap(), &brute_symmetrised(&nearest_edges));
}

#[test]
fn supercells_repeat_their_cell() {
    let cell = [[5.0, 0.2, 0.0], [-2.0, 4.0, 0.3], [1.0, 0.5, 6.0]];
    let at =
        |n: [f64; 3]| -> Vec3 { std::array::from_fn(|x| n[0] * cell[0][x] + n[1] * cell[1][x] + n[2] * cell[2][x]) };
    let unit: Vec<Vec3> = (0..12)
        .map(|i| at(std::array::from_fn(|x| (f64::from(i) * [0.618_034, 0.414_214, 0.732_051][x]).fract())))
        .collect();
    let repeats = [6, 4, 5];
    let mut positions = Vec::new();
    for (a, b, c) in (0..6).flat_map(|a| (0..4).flat_map(move |b| (0..5).map(move |c| (a, b, c)))) {
        let origin = at([f64::from(a), f64::from(b), f64::from(c)]);
        positions.extend(unit.iter().map(|p| -> Vec3 { std::array::from_fn(|x| p[x] + origin[x]) }));
    }
    let large = std::array::from_fn(|k| cell[k].map(|x| x * f64::from(repeats[k])));
    let small = all(4.0).build(&[&hydrogens(&unit, Some(cell), [true; 3])]).unwrap();
    let graph = all(4.0).build(&[&hydrogens(&positions, Some(large), [true; 3])]).unwrap();
    let lengths = |graph: &Graph, atom: usize| {
        let first = graph.first_edges();
        let mut lengths = graph.distances()[first[atom]..first[atom + 1]].to_vec();
        lengths.sort_by(f64::total_cmp);
        lengths
    };
    assert_eq!(graph.n_edges(), small.n_edges() * 120);
    for atom in (0..positions.len()).step_by(7) {
        for (a, b) in lengths(&graph, atom).iter().zip(lengths(&small, atom % 12)) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
