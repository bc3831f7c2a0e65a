//! Real data are clean; in other units they are not.

use std::path::{Path, PathBuf};

use potstill_fixtures::{data, workspace};
use potstill_fixtures_macros::needs_datasets;

use super::verdict::judge;
use super::*;
use crate::io::{LabelKeys, read};
use potstill_core::units;

/// Systems of a file that are looked at here.
const SYSTEMS: usize = 1200;

fn load(path: &Path) -> Vec<System> {
    read(path, &LabelKeys::default()).unwrap().take(SYSTEMS).map(Result::unwrap).collect()
}

/// Files of the shipped dataset.
fn shipped() -> Vec<PathBuf> {
    ["train", "val", "test"].map(|name| workspace().join(format!("data/xcoll-demo/{name}.extxyz.xz"))).into()
}

/// Files of the large datasets.
fn large() -> Vec<PathBuf> {
    let names = [
        "3bpa/train_300K.xyz",
        "3bpa/train_mixedT.xyz",
        "acac/train_300K.xyz",
        "acac/train_600K.xyz",
        "acac/test_MD_300K.xyz",
        "acac/test_MD_600K.xyz",
        "acac/test_dihedral.xyz",
        "acac/test_H_transfer.xyz",
        "acac/isolated_atoms.xyz",
        "xcoll/train.extxyz.xz",
        "xcoll/val.extxyz.xz",
        "xcoll/test.extxyz.xz",
        "xcoll/test_ood.extxyz.xz",
        "slabs/train.extxyz.xz",
        "slabs/val.extxyz.xz",
        "slabs/test.extxyz.xz",
        "oc20_real/train.extxyz.xz",
        "oc20_real/val.extxyz.xz",
        "oc20_real/test.extxyz.xz",
        "oc20_lmdb/same_24_systems.extxyz",
        "coll_npz/xcoll_val.npz",
        "coll_npz/xcoll_test.npz",
    ];
    names.map(data).into()
}

/// The same systems with every energy, force and length multiplied.
fn scaled(systems: &[System], energy: f64, force: f64, length: f64) -> Vec<System> {
    let vectors = |rows: &[Vec3], by: f64| rows.iter().map(|row| row.map(|x| x * by)).collect();
    let one = |s: &System| System {
        energy: s.energy.map(|e| e * energy),
        forces: s.forces.as_ref().map(|f| vectors(f, force)),
        positions: vectors(&s.positions, length),
        cell: s.cell.map(|cell| cell.map(|row| row.map(|x| x * length))),
        ..s.clone()
    };
    systems.iter().map(one).collect()
}

fn found(systems: &[System]) -> Vec<(Severity, String)> {
    judge(&systems.iter().collect::<Vec<_>>())
}

/// The one refusal, or nothing.
fn refusal(systems: &[System]) -> String {
    let found = found(systems);
    assert!(found.len() <= 1, "{found:?}");
    found.into_iter().filter(|(severity, _)| *severity == Severity::Refusal).map(|f| f.1).collect()
}

fn size(units: &[units::Unit], name: &str) -> f64 {
    units.iter().find(|unit| unit.0 == name).unwrap().1
}

fn assert_clean(files: Vec<PathBuf>) {
    for file in files {
        assert_eq!(found(&load(&file)), [], "{}", file.display());
    }
}

#[test]
fn shipped_data_are_clean() {
    assert_clean(shipped());
}

#[needs_datasets]
#[test]
fn real_data_are_clean() {
    assert_clean(large());
}

#[test]
fn wrong_units_are_found_in_shipped_data() {
    assert_wrong_units_are_found(shipped());
}

#[needs_datasets]
#[test]
fn wrong_units_are_found_in_real_data() {
    assert_wrong_units_are_found(large());
}

fn assert_wrong_units_are_found(files: Vec<PathBuf>) {
    let bohr = size(&units::LENGTH, "bohr");
    for file in files {
        let systems = load(&file);
        let n_labelled = systems.iter().filter(|s| s.forces.is_some()).count();
        if n_labelled < 200 {
            continue;
        }
        let check = |energy: f64, force: f64, length: f64, words: &[&str]| {
            let message = refusal(&scaled(&systems, energy, force, length));
            let place = format!("{}, {energy} {force} {length}: {message}", file.display());
            assert!(words.iter().all(|word| message.contains(word)), "{place}");
        };
        check(1.0, 1.0, bohr, &["positions look like bohr"]);
        check(1.0, 1.0, 0.1, &["positions look like nm"]);
        check(1.0, -1.0, 1.0, &["forces have the wrong sign"]);
        check(1.0, -23.0605, 1.0, &["forces have the wrong sign", "stiffness"]);
        for (name, factor) in units::ENERGY {
            check(factor, 1.0, 1.0, &["energies look as if they were in", name]);
        }
        for name in ["kcal/mol/Å", "kJ/mol/Å", "meV/Å", "hartree/bohr"] {
            check(1.0, size(&units::FORCE, name), 1.0, &["forces look as if they were in", name]);
        }
        for (energy, force) in [("kcal/mol", "kcal/mol/Å"), ("kJ/mol", "kJ/mol/Å"), ("meV", "meV/Å")] {
            let (e, f) = (size(&units::ENERGY, energy), size(&units::FORCE, force));
            check(e, f, 1.0, &[&format!("energies look as if they were in {energy} and forces in {force}")]);
        }
        // Rydberg and hartree are too near to each other to be told apart by the same factor in both.
        check(0.0367493, 0.0367493, 1.0, &["stiffness"]);
        check(0.0734986, 0.0734986, 1.0, &["stiffness"]);
        check(0.0367493, 0.0194469, 1.0, &["in hartree and forces in hartree/bohr"]);
        check(0.0367493, 0.0194469, bohr, &["positions look like bohr"]);
        check(1.0, 0.529177, 1.0, &["forces look as if they were in eV/bohr"]);
    }
}

#[test]
fn energies_per_atom_are_named() {
    for file in shipped().iter().filter(|f| f.to_string_lossy().contains("xcoll-demo/train")) {
        let mut systems = load(file);
        systems.iter_mut().for_each(|s| s.energy = s.energy.map(|e| e / s.n_atoms() as f64));
        assert!(refusal(&systems).starts_with("energies look as if they were per atom: "), "{}", refusal(&systems));
    }
}

/// Where there is nothing to go by, nothing is said: too few systems, energies alone, no forces, gases.
#[test]
fn little_evidence_is_no_evidence() {
    let [train, ..] = &shipped()[..] else { panic!("no data") };
    let systems = load(train);
    assert_eq!(found(&scaled(&systems[..2], 23.0, -23.0, 1.0)), []);
    let without: Vec<System> =
        scaled(&systems, 23.0, 1.0, 1.0).into_iter().map(|s| System { forces: None, ..s }).collect();
    assert_eq!(found(&without), []);
    assert_eq!(found(&[]), []);
    let argon = |x: f64| System {
        atomic_numbers: vec![18; 3],
        positions: vec![[0.0; 3], [x, 0.0, 0.0], [0.0, x, 0.0]],
        ..System::default()
    };
    assert_eq!(found(&(0..100).map(|i| argon(3.8 + 0.01 * f64::from(i))).collect::<Vec<_>>()), []);
    let broken = System { positions: vec![[f64::NAN; 3]; 3], ..argon(1.0) };
    assert_eq!(found(&vec![broken; 100]), []);
}

/// Crystals without any hydrogen: a spring model of face-centred copper.
#[test]
fn metals_are_judged_by_work_and_stiffness() {
    let crystals: Vec<System> = (0..80).map(copper).collect();
    assert_eq!(found(&crystals), []);
    assert!(refusal(&scaled(&crystals, 1.0, -1.0, 1.0)).contains("wrong sign"));
    assert!(refusal(&scaled(&crystals, 23.0605, 1.0, 1.0)).contains("kcal/mol"));
    assert!(refusal(&scaled(&crystals, 1.0, 1.0, 1.889726)).contains("bohr"));
    // The same factor in both is told only where it is large.
    assert_eq!(found(&scaled(&crystals, 23.0605, 23.0605, 1.0)), []);
    let [(Severity::Warning, message)] = &found(&scaled(&crystals, 1000.0, 1000.0, 1.0))[..] else {
        panic!("nothing found")
    };
    assert!(message.contains("pairs of similar frames"), "{message}");
}

/// Four atoms in a cube of 3.6 Å, displaced by pseudo-random numbers and held by springs of 3 eV/Å².
fn copper(number: usize) -> System {
    let noise = |k: usize| ((number * 12 + k) as f64 * 12.9898).sin() * 43758.547;
    let sites = [[0.0; 3], [0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]];
    let moves: Vec<Vec3> = (0..4).map(|a| std::array::from_fn(|k| 0.2 * (noise(3 * a + k).fract() - 0.5))).collect();
    System {
        atomic_numbers: vec![29; 4],
        positions: sites.iter().zip(&moves).map(|(s, m)| std::array::from_fn(|k| s[k] + m[k])).collect(),
        cell: Some([[3.6, 0.0, 0.0], [0.0, 3.6, 0.0], [0.0, 0.0, 3.6]]),
        pbc: [true; 3],
        energy: Some(-14.0 + moves.as_flattened().iter().map(|d| 1.5 * d * d).sum::<f64>()),
        forces: Some(moves.iter().map(|m| m.map(|d| -3.0 * d)).collect()),
        ..System::default()
    }
}
