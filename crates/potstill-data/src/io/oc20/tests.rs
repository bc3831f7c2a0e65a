use std::path::{Path, PathBuf};

use potstill_fixtures::data;
use potstill_fixtures_macros::needs_datasets;
use proptest::prelude::*;

use super::*;
use crate::io::lmdb::Lmdb;
use crate::io::{LabelKeys, read_all};
use potstill_core::{Result, System};

fn folder() -> PathBuf {
    data("oc20_lmdb")
}

fn open(bytes: Vec<u8>) -> Result<Oc20Lmdb> {
    Oc20Lmdb::from_lmdb(Lmdb::from_source(Box::new(bytes), Path::new("t.lmdb"))?)
}

/// The text file has 8 decimals, the LMDB single precision: they must agree as far as both can tell.
///
/// Forces on fixed atoms are zero in the LMDB, as ASE gives them under constraints, and unconstrained in the text.
fn assert_same(found: &System, text: &System) {
    let same = |a: &[[f64; 3]], b: &[[f64; 3]]| {
        let mut pairs = a.as_flattened().iter().zip(b.as_flattened());
        a.len() == b.len() && pairs.all(|(a, b)| (a - b).abs() <= 5.1e-9 + b.abs() * f64::from(f32::EPSILON) / 2.0)
    };
    assert!(same(&found.positions, &text.positions));
    let mut forces = text.forces.clone().unwrap();
    let free = (0..text.n_atoms()).map(|i| text.is_free(i));
    forces.iter_mut().zip(free).filter(|(_, free)| !free).for_each(|(force, _)| *force = [0.0; 3]);
    assert!(same(found.forces.as_ref().unwrap(), &forces));
    assert!(same(&found.cell.unwrap(), &text.cell.unwrap()));
    assert_eq!((&found.atomic_numbers, &found.tags, &found.fixed), (&text.atomic_numbers, &text.tags, &text.fixed));
    assert_eq!((found.energy, found.pbc), (text.energy, text.pbc));
    for key in ["sid", "fid"] {
        assert!(found.metadata.contains_key(key));
        assert_eq!(found.metadata.get(key), text.metadata.get(key));
    }
    assert_eq!(found.metadata.len(), 2);
}

#[needs_datasets]
#[test]
fn both_generations_equal_the_text_file() {
    let folder = folder();
    let (expected, _) = read_all(&folder.join("same_24_systems.extxyz"), &LabelKeys::default()).unwrap();
    for name in ["pyg1.lmdb", "pyg2.lmdb"] {
        let (found, chosen) = read_all(&folder.join(name), &LabelKeys::default()).unwrap();
        assert_eq!((found.len(), chosen.energy.as_deref(), chosen.forces.as_deref()), (24, Some("y"), Some("force")));
        found.iter().zip(&expected).for_each(|(found, text)| assert_same(found, text));
        let file = Oc20Lmdb::open(&folder.join(name)).unwrap();
        assert_eq!(file.get(17).unwrap(), found[17]);
        assert!(file.get(24).unwrap_err().to_string().ends_with("has 24 systems; there is no system 24"));
    }
    let (all, _) = read_all(&folder, &LabelKeys::default()).unwrap();
    assert_eq!(all.len(), 48);
    assert_eq!(all[..24], all[24..]);
}

/// The pairs of a file, to be put into another.
fn pairs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lmdb = Lmdb::open(path).unwrap();
    lmdb.keys().map(|key| key.unwrap()).map(|key| (key.clone(), lmdb.get(&key).unwrap().unwrap())).collect()
}

#[needs_datasets]
#[test]
fn length_may_be_absent_or_wrong() {
    let folder = folder();
    let mut pairs = pairs(&folder.join("pyg1.lmdb"));
    let first = Oc20Lmdb::open(&folder.join("pyg1.lmdb")).unwrap();
    let database = crate::io::lmdb::tests::database;
    let length = pairs.iter().position(|(key, _)| key == b"length").unwrap();
    pairs[length].1 = b"\x80\x05K\x63.".to_vec();
    let error = open(database(&pairs, 8)).err().unwrap().to_string();
    assert_eq!(error, "t.lmdb: `length` is 99, but the file has 25 keys");
    pairs.remove(length);
    let file = open(database(&pairs, 8)).unwrap();
    assert_eq!((file.len(), file.get(23).unwrap()), (24, first.get(23).unwrap()));
    pairs.retain(|(key, _)| key != b"5");
    let file = open(database(&pairs, 8)).unwrap();
    assert_eq!((file.len(), file.get(5).unwrap()), (23, first.get(6).unwrap()));
    assert_eq!(file.iter().filter(|s| s.is_ok()).count(), 23);
    let error = open(database(&[(b"a".to_vec(), vec![])], 8)).err().unwrap().to_string();
    assert!(error.starts_with("t.lmdb: holds no systems"), "{error}");
    let bad = [(b"0".to_vec(), b"cposix\nsystem\n(Vls\ntR.".to_vec())];
    let error = open(database(&bad, 8)).unwrap().get(0).unwrap_err().to_string();
    assert!(error.starts_with("t.lmdb: system 0: the pickle names the class `posix.system`"), "{error}");
}

#[needs_datasets]
#[test]
fn labels_by_name() {
    let folder = folder();
    let keys = LabelKeys { energy: Some("z".into()), ..LabelKeys::default() };
    let error = read_all(&folder.join("pyg2.lmdb"), &keys).unwrap_err().to_string();
    assert!(error.ends_with("system 0: `z` is asked for, but absent"), "{error}");
}

#[needs_datasets]
#[test]
fn cut_anywhere_gives_an_error() {
    let folder = folder();
    let bytes = std::fs::read(folder.join("pyg2.lmdb")).unwrap();
    // The end of the last page is empty: a file without it is whole.
    let used = bytes.iter().rposition(|&b| b != 0).unwrap();
    for end in (0..used).step_by(1000) {
        let all = open(bytes[..end].to_vec()).and_then(|file| file.iter().collect::<Result<Vec<_>>>());
        assert!(all.is_err(), "cut at {end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[needs_datasets]
    #[test]
    fn changed_bytes_give_no_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..200)) {
        let folder = folder();
        let mut bytes = std::fs::read(folder.join("pyg2.lmdb")).unwrap();
        changes.iter().for_each(|(at, byte)| { let i = at.index(bytes.len()); bytes[i] = *byte });
        if let Ok(file) = open(bytes) {
            file.iter().for_each(drop);
        }
    }
}
