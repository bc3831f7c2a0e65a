use std::path::Path;

use potstill_fixtures::data;
use potstill_fixtures_macros::needs_datasets;

use super::*;
use crate::io::{read_all, write};
use potstill_core::system::Value;

const PLAIN: fn(usize) = |_| {};

fn systems(n: usize) -> Vec<System> {
    let one = |i: usize| {
        let n_atoms = 1 + i % 5;
        System {
            atomic_numbers: vec![1 + (i % 7) as u8; n_atoms],
            positions: (0..n_atoms).map(|a| [a as f64, i as f64 / 3.0, -0.1]).collect(),
            energy: (i != 3).then_some(-1.5 * i as f64),
            forces: Some(vec![[0.25, i as f64, 0.0]; n_atoms]),
            metadata: [("id".to_owned(), Value::Int(i as i64))].into(),
            ..System::default()
        }
    };
    (0..n).map(one).collect()
}

fn written(path: &Path, systems: &[System]) {
    let mut writer = write(path).unwrap();
    systems.iter().for_each(|s| writer.write(s).unwrap());
    writer.finish().unwrap();
}

fn open(path: &Path, cache: Option<&Path>) -> StoredFile {
    StoredFile::open(path, &LabelKeys::default(), cache, &PLAIN).unwrap()
}

fn assert_equal(file: &StoredFile, systems: &[System]) {
    assert_eq!(file.len(), systems.len());
    for i in (0..file.len()).rev() {
        assert_eq!(file.get(i).unwrap(), systems[i], "system {i}");
        assert_eq!(file.atom_counts()[i] as usize, systems[i].n_atoms());
    }
    let error = file.get(file.len()).unwrap_err().to_string();
    assert!(error.contains(&format!("there is no system {}", file.len())), "{error}");
}

/// Adds to a file, so that its length and time change.
fn append(path: &Path, text: &str) {
    std::fs::write(path, std::fs::read_to_string(path).unwrap() + text).unwrap();
}

#[test]
fn text_and_arrays_are_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let expected = systems(600);
    for name in ["a.extxyz", "a.npz"] {
        let path = folder.path().join(name);
        // The arrays of an npz have room for energies of all or of none.
        let expected: Vec<System> = match name {
            "a.npz" => expected.iter().map(|s| System { energy: s.energy.or(Some(0.0)), ..s.clone() }).collect(),
            _ => expected.clone(),
        };
        written(&path, &expected);
        assert_eq!(read_all(&path, &LabelKeys::default()).unwrap().0, expected);
        assert_equal(&open(&path, None), &expected);
        assert_equal(&open(&path, None), &expected);
    }
    assert!(folder.path().join("a.extxyz.potstill-index").exists());
    assert!(!folder.path().join("a.npz.potstill-index").exists());
}

#[test]
fn blank_lines_between_systems_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    std::fs::write(&path, "\n\n1\nenergy=1\nH 0 0 0\n  \n\n1\nenergy=2\nO 0 0 1\n\n\n").unwrap();
    assert_equal(&open(&path, None), &read_all(&path, &LabelKeys::default()).unwrap().0);
}

#[test]
fn an_index_is_kept_until_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    let index = folder.path().join("a.xyz.potstill-index");
    written(&path, &systems(4));
    open(&path, None);
    let first = std::fs::read(&index).unwrap();
    let again = std::cell::Cell::new(0);
    let count = |n: usize| again.set(n);
    StoredFile::open(&path, &LabelKeys::default(), None, &count).unwrap();
    assert_eq!(std::fs::read(&index).unwrap(), first);

    append(&path, "1\nenergy=7\nH 0 0 0\n");
    assert_eq!((open(&path, None).len(), open(&path, None).get(4).unwrap().energy), (5, Some(7.0)));

    // Any damage, and any cut, is the same as no index.
    let whole = std::fs::read(&index).unwrap();
    for at in [0, 8, 12, 20, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        std::fs::write(&index, &bytes).unwrap();
        assert_eq!(open(&path, None).len(), 5);
        assert_eq!(std::fs::read(&index).unwrap(), whole, "byte {at}");
        std::fs::write(&index, &whole[..at]).unwrap();
        assert_eq!(open(&path, None).len(), 5);
    }
}

#[test]
fn a_file_that_changes_while_it_is_open_gives_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    written(&path, &systems(4));
    let file = open(&path, None);
    std::fs::write(&path, "2\n\nH 0 0 0\nH 0 0 1\n").unwrap();
    for i in 0..4 {
        let error = file.get(i).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: system {i}", path.display())), "{error}");
    }
}

#[test]
fn where_the_folder_refuses_the_cache_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (path, cache) = (folder.path().join("a.xyz"), folder.path().join("run/index"));
    written(&path, &systems(4));
    // A folder in the way refuses even the superuser.
    std::fs::create_dir(folder.path().join("a.xyz.potstill-index")).unwrap();
    assert_equal(&open(&path, None), &systems(4));
    assert_equal(&open(&path, Some(&cache)), &systems(4));
    let names: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1);
    assert_equal(&open(&path, Some(&cache)), &systems(4));
}

#[test]
fn other_names_of_labels_have_an_index_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    std::fs::write(&path, "1\nenergy=1 other=5\nH 0 0 0\n").unwrap();
    let keys = LabelKeys { energy: Some("other".into()), ..LabelKeys::default() };
    let other = StoredFile::open(&path, &keys, None, &PLAIN).unwrap();
    assert_eq!((other.get(0).unwrap().energy, open(&path, None).get(0).unwrap().energy), (Some(5.0), Some(1.0)));
    assert_eq!(other.chosen().energy.as_deref(), Some("other"));
}

#[test]
fn compressed_files_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.extxyz.gz");
    written(&path, &systems(4));
    let error = StoredFile::open(&path, &LabelKeys::default(), None, &PLAIN).err().unwrap().to_string();
    assert!(error.contains("is compressed") && error.contains("potstill data convert"), "{error}");
    assert!(!is_stored(&path).unwrap());
    let plain = folder.path().join("a.extxyz");
    written(&plain, &systems(4));
    assert!(is_stored(&plain).unwrap());
    assert!(estimated_bytes(&plain).unwrap() > 4 * 100);
    assert!(StoredFile::open(Path::new("no.xyz"), &LabelKeys::default(), None, &PLAIN).is_err());
}

#[test]
fn damage_in_the_file_is_found_by_the_first_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    written(&path, &systems(4));
    append(&path, "2\nenergy=7\nH 0 0 0\n");
    let error = StoredFile::open(&path, &LabelKeys::default(), None, &PLAIN).err().unwrap().to_string();
    assert!(error.contains("expected 2 atoms, found 1 before end of file"), "{error}");
    assert!(!folder.path().join("a.xyz.potstill-index").exists());
}

#[needs_datasets]
#[test]
fn lmdb_files_are_read_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lmdb");
    std::fs::copy(data("oc20_lmdb/pyg2.lmdb"), &path).unwrap();
    let expected = read_all(&path, &LabelKeys::default()).unwrap();
    for _ in 0..2 {
        let file = open(&path, None);
        assert_equal(&file, &expected.0);
        assert_eq!(*file.chosen(), expected.1);
    }
    assert!(is_stored(folder.path()).unwrap());
    assert_eq!(expand(folder.path()).unwrap(), [path]);
}
