//! Single flipped bits in every kind of file that is written here: each is an error, or changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::io::{LabelKeys, StoredFile, read_all, write};
use potstill_core::system::{Column, System, Value};

/// Flips tried in each file.
const FLIPS: usize = 2000;

#[derive(Debug, Default)]
struct Count {
    errors: usize,
    harmless: usize,
    silent: usize,
}

fn systems() -> Vec<System> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut system = |i: i64| {
        let n = rng.random_range(1..6_usize);
        let mut vectors = || (0..n).map(|_| std::array::from_fn(|_| rng.random_range(-5.0..5.0))).collect::<Vec<_>>();
        let (positions, forces) = (vectors(), Some(vectors()));
        let metadata = [("traj".to_owned(), Value::Int(i / 3))].into();
        let columns = [("charges".to_owned(), Column::real(vec![0.1 * i as f64; n]))].into();
        let atomic_numbers = vec![6; n];
        System {
            atomic_numbers,
            positions,
            forces,
            energy: Some(-0.3 * i as f64),
            metadata,
            columns,
            ..System::default()
        }
    };
    (0..12).map(&mut system).collect()
}

/// Reads a file with each of many flips in it.
fn count<T: PartialEq>(path: &Path, read: impl Fn(&Path) -> Option<T>, seed: u64) -> Count {
    let whole = std::fs::read(path).unwrap();
    let expected = read(path).expect("the whole file");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut count = Count::default();
    for i in 0..FLIPS {
        let mut bytes = whole.clone();
        let at = rng.random_range(0..bytes.len());
        // Half of them single bits, half of them whole bytes.
        bytes[at] = match i % 2 {
            0 => bytes[at] ^ (1 << rng.random_range(0..8_u32)),
            _ => bytes[at].wrapping_add(rng.random_range(1..=255_u8)),
        };
        std::fs::write(path, &bytes).unwrap();
        match read(path) {
            None => count.errors += 1,
            Some(found) if found == expected => count.harmless += 1,
            Some(_) => count.silent += 1,
        }
    }
    count
}

fn read(path: &Path) -> Option<Vec<System>> {
    read_all(path, &LabelKeys::default()).ok().map(|(systems, _)| systems)
}

#[test]
fn no_flip_changes_systems_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let mut counts = BTreeMap::new();
    for (seed, name) in ["a.extxyz.gz", "a.extxyz.xz", "a.extxyz.zst", "a.npz"].into_iter().enumerate() {
        let path = folder.path().join(name);
        let mut writer = write(&path).unwrap();
        systems().iter().for_each(|system| writer.write(system).unwrap());
        writer.finish().unwrap();
        counts.insert(name, count(&path, read, seed as u64));
    }
    // The index, which is made again when it is damaged, beside its text.
    let text = folder.path().join("a.extxyz");
    let mut writer = write(&text).unwrap();
    systems().iter().for_each(|system| writer.write(system).unwrap());
    writer.finish().unwrap();
    let indexed = |_: &Path| {
        let file = StoredFile::open(&text, &LabelKeys::default(), None, &|_| ()).ok()?;
        (0..file.len()).map(|i| file.get(i).ok()).collect::<Option<Vec<_>>>()
    };
    indexed(&text).unwrap();
    let index = folder.path().join("a.extxyz.potstill-index");
    counts.insert("a.extxyz.potstill-index", count(&index, indexed, 9));
    eprintln!("{counts:#?}");
    for (name, count) in counts {
        assert_eq!(count.silent, 0, "{name}: {count:?}");
        assert!(count.errors > FLIPS / 2 || name.ends_with("index"), "{name}: {count:?}");
    }
}
