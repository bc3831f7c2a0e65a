//! Each kind of bad input is one line that names the system and what is wrong.

use super::*;

fn refused(rule: GraphRule, system: &System) -> String {
    let fine = hydrogens(&[[0.0; 3]], None, [false; 3]);
    let message = rule.build(&[&fine, system]).expect_err("accepted").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

fn pair(cell: Option<Mat3>, pbc: [bool; 3]) -> System {
    hydrogens(&[[0.0; 3], [0.7, 0.0, 0.0]], cell, pbc)
}

fn cube(length: f64) -> Option<Mat3> {
    Some([[length, 0.0, 0.0], [0.0, length, 0.0], [0.0, 0.0, length]])
}

#[test]
fn unusable_rules() {
    let system = pair(None, [false; 3]);
    for cutoff in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let message = refused(all(cutoff), &system);
        assert!(message.starts_with(&format!("cutoff: is {cutoff} Å")), "{message}");
    }
    assert!(refused(nearest(5.0, 0, true), &system).starts_with("neighbors: nearest = 0"));
}

#[test]
fn arrays_that_disagree() {
    let mut system = pair(None, [false; 3]);
    system.atomic_numbers.push(8);
    assert!(refused(all(5.0), &system).starts_with("system 1: 3 atomic numbers for 2 positions"));
    assert!(refused(all(5.0), &System::default()).starts_with("system 1: has no atoms"));
}

#[test]
fn positions_that_are_no_numbers() {
    for bad in [f64::NAN, f64::INFINITY, -1e9] {
        let mut system = pair(cube(9.0), [true; 3]);
        system.positions[1][2] = bad;
        let message = refused(all(5.0), &system);
        assert!(message.starts_with("system 1: position of atom 1 is ["), "{message}");
    }
}

#[test]
fn unusable_cells() {
    assert!(refused(all(5.0), &pair(None, [false, true, false])).contains("has pbc but no cell"));
    assert!(refused(all(5.0), &pair(cube(0.0), [true; 3])).contains("zero volume"));
    let mut cell = cube(9.0);
    cell.as_mut().unwrap()[1][0] = f64::NAN;
    assert!(refused(all(5.0), &pair(cell, [true; 3])).contains("lattice vector b is [NaN"));
    assert!(all(5.0).build(&[&pair(cell, [true, false, true])]).is_ok(), "b is not used");
    assert!(all(5.0).build(&[&pair(cube(0.0), [false; 3])]).is_ok(), "no lattice vector is used");
}

#[test]
fn absurdly_small_cells_are_refused_at_once() {
    for length in [1e-90, 1e-6, 1e-3, 0.02] {
        let message = refused(all(6.0), &hydrogens(&[[0.0; 3]], cube(length), [true; 3]));
        assert!(message.contains("images lie within") || message.contains("edges (limit"), "{message}");
    }
    let message = refused(all(6.0), &hydrogens(&[[1e4, 0.0, 0.0]], cube(1e-6), [true; 3]));
    assert!(message.contains("cells outside its own"), "{message}");
    // Forty thousand atoms in a cubic ångström, free: the edges alone would take 70 GB.
    let positions: Vec<Vec3> = (0..40_000).map(|i| [f64::from(i) * 2e-5, 0.0, 0.0]).collect();
    assert!(refused(all(6.0), &hydrogens(&positions, None, [false; 3])).contains("edges (limit"));
}

#[test]
fn two_atoms_at_one_place() {
    let mut positions = vec![[0.0; 3]; 8];
    for (i, position) in positions.iter_mut().enumerate() {
        position[0] = i as f64;
    }
    positions[7] = [3.0, 5e-5, 0.0];
    let message = refused(all(5.0), &hydrogens(&positions, None, [false; 3]));
    assert_eq!(message, "system 1: atoms 3 and 7 are at one place; remove one of them");
    // One cell apart is one place, too, for either rule.
    positions[7] = [3.0, 9.0, 0.0];
    let message = refused(nearest(5.0, 2, true), &hydrogens(&positions, cube(9.0), [true; 3]));
    assert!(message.contains("atoms 3 and 7 are at one place (through the periodic boundary)"), "{message}");
    // Near is not at one place, though the OCP code drops such pairs.
    positions[7] = [3.0, 2e-4, 0.0];
    assert!(all(5.0).build(&[&hydrogens(&positions, None, [false; 3])]).is_ok());
}

#[test]
fn the_systems_own_name_is_told() {
    let mut system = pair(None, [true; 3]);
    system.metadata.insert("name".into(), crate::system::Value::Text("water_17".into()));
    assert!(refused(all(5.0), &system).starts_with("system 1 (water_17): has pbc but no cell"));
}
