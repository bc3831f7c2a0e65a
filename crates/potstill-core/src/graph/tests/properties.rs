//! Random cells and positions: equal to brute force, and to itself under what must not matter.

use proptest::prelude::*;

use super::*;

const CUTOFF: f64 = 3.0;

/// Cells from thin (a third of the cutoff) to wide, skewed either way, left- and right-handed.
fn cell() -> impl Strategy<Value = Mat3> {
    let length = prop_oneof![1.0..2.5, 2.5..9.0f64];
    (prop::array::uniform3(length), prop::array::uniform3(-0.8..0.8f64), any::<bool>(), 0.0..6.3f64).prop_map(
        |([a, b, c], [ab, ac, bc], swap, angle)| {
            let rows = [[a, 0.0, 0.0], [ab * b, b, 0.0], [ac * c, bc * c, c]];
            // Turned, so that no lattice vector lies along an axis.
            let turned = rows.map(|r| turn(turn(r, angle), 0.7 * angle));
            if swap { [turned[1], turned[0], turned[2]] } else { turned }
        },
    )
}

fn turn([x, y, z]: Vec3, angle: f64) -> Vec3 {
    let (sin, cos) = angle.sin_cos();
    [z, cos * x - sin * y, sin * x + cos * y]
}

/// Up to a few dozen atoms, most inside the cell, some several cells away, no two at one place.
pub(in crate::graph) fn system(n_max: usize) -> impl Strategy<Value = System> {
    let place = prop::array::uniform3(prop_oneof![4 => 0.0..1.0, 1 => -2.5..3.5f64]);
    (cell(), any::<[bool; 3]>(), prop::collection::vec(place, 1..n_max), any::<bool>())
        .prop_map(|(cell, pbc, places, no_cell)| {
            let positions: Vec<Vec3> = places
                .iter()
                .map(|f| std::array::from_fn(|x| f[0] * cell[0][x] + f[1] * cell[1][x] + f[2] * cell[2][x]))
                .collect();
            let (cell, pbc) = if no_cell { (None, [false; 3]) } else { (Some(cell), pbc) };
            hydrogens(&positions, cell, pbc)
        })
        .prop_filter("two atoms at one place", |s| brute_force(s, 1e-3).is_empty())
}

/// Free systems of more atoms than are searched pair by pair.
fn cloud() -> impl Strategy<Value = System> {
    prop::collection::vec(prop::array::uniform3(-8.0..8.0f64), 51..150)
        .prop_map(|positions| hydrogens(&positions, None, [false; 3]))
        .prop_filter("two atoms at one place", |s| brute_force(s, 1e-3).is_empty())
}

fn any_system() -> impl Strategy<Value = System> {
    prop_oneof![4 => system(12), 1 => cloud()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn all_equals_brute_force(system in any_system()) {
        let graph = all(CUTOFF).build(&[&system]).unwrap();
        assert_edges(&graph, &brute_force(&system, CUTOFF));
    }

    #[test]
    fn nearest_equals_brute_force(system in any_system(), k in 1..40usize) {
        let expected = brute_nearest(&brute_force(&system, CUTOFF), k);
        assert_edges(&nearest(CUTOFF, k, false).build(&[&system]).unwrap(), &expected);
        assert_edges(&nearest(CUTOFF, k, true).build(&[&system]).unwrap(), &brute_symmetrised(&expected));
    }

    #[test]
    fn reverse_edges_are_reverse(system in any_system(), k in 1..40usize) {
        for rule in [all(CUTOFF), nearest(CUTOFF, k, true)] {
            let graph = rule.build(&[&system, &system]).unwrap();
            let reverse = graph.reverse_edges().expect("symmetric");
            for (e, r) in reverse.iter().map(|&r| r as usize).enumerate() {
                prop_assert_eq!((graph.source[e], graph.target[e]), (graph.target[r], graph.source[r]));
                prop_assert_eq!(graph.shifts[e], graph.shifts[r].map(|n| -n));
                prop_assert_eq!(graph.displacement[e], graph.displacement[r].map(|x| -x));
            }
        }
    }

    #[test]
    fn reverse_edges_are_none_exactly_where_one_lacks(system in any_system(), k in 1..8usize) {
        let graph = nearest(CUTOFF, k, false).build(&[&system]).unwrap();
        let names = names(&graph);
        let complete = names.iter().all(|(t, s, n)| names.contains(&(*s, *t, n.map(|x| -x))));
        prop_assert_eq!(graph.reverse_edges().is_some(), complete);
    }

    #[test]
    fn batch_equals_concatenated_singles(systems in prop::collection::vec(any_system(), 0..5), k in 1..30usize) {
        for rule in [all(CUTOFF), nearest(CUTOFF, k, false), nearest(CUTOFF, k, true)] {
            let batch: Vec<&System> = systems.iter().collect();
            let singles: Vec<Graph> = systems.iter().map(|s| rule.build(&[s]).unwrap()).collect();
            let graph = rule.build(&batch).unwrap();
            prop_assert_eq!(&graph, &Graph::concatenate(&singles.iter().collect::<Vec<_>>()));
            prop_assert_eq!(graph.n_systems(), systems.len());
        }
    }

    #[test]
    fn order_of_atoms_does_not_matter(system in any_system()) {
        let n = system.n_atoms() as u32;
        let mut reversed = system.clone();
        reversed.positions.reverse();
        let mut there = names(&all(CUTOFF).build(&[&reversed]).unwrap());
        for (target, source, _) in &mut there {
            (*target, *source) = (n - 1 - *target, n - 1 - *source);
        }
        there.sort_unstable();
        prop_assert_eq!(there, names(&all(CUTOFF).build(&[&system]).unwrap()));
    }

    #[test]
    fn translation_does_not_matter(system in any_system(), by in prop::array::uniform3(-50.0..50.0f64)) {
        let mut moved = system.clone();
        for position in &mut moved.positions {
            *position = std::array::from_fn(|x| position[x] + by[x]);
        }
        let (here, there) = (all(CUTOFF).build(&[&system]).unwrap(), all(CUTOFF).build(&[&moved]).unwrap());
        prop_assert_eq!(names(&here), names(&there));
        for (a, b) in here.distances().iter().zip(there.distances()) {
            prop_assert!((a - b).abs() < 1e-11);
        }
    }
}

#[test]
fn threads_do_not_matter() {
    // Large enough for several tasks.
    let positions: Vec<Vec3> = (0..5000)
        .map(|i| std::array::from_fn(|x| (f64::from(i) * [0.618_034, 0.414_214, 0.732_051][x]).fract() * 40.0))
        .collect();
    let system =
        hydrogens(&positions, Some([[40.0, 0.0, 0.0], [3.0, 40.0, 0.0], [0.0, 5.0, 40.0]]), [true, true, false]);
    for rule in [all(CUTOFF), nearest(CUTOFF, 5, true)] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| rule.build(&[&system]).unwrap())
        };
        assert!(on(1).n_edges() > 10_000);
        assert_eq!(on(1), on(3));
    }
}
