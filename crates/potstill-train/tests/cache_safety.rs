//! Caches that are shared, damaged, mixed up, replaced or absurd: right answers or an error, never another teacher's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Barrier, Mutex};

use burn::tensor::DType;
use potstill_core::Precision;
use potstill_core::files::lock::{FolderLock, LOCK_FILE};
use potstill_core::model::Tap;
use potstill_core::{Result, System};
use potstill_data::io::write;
use potstill_train::distill::cache::ShardIdentity;
use potstill_train::distill::labelling::{Asked, Event, Origin, open_or_make};
use potstill_train::distill::{Kind, LabelOptions, Probes, Questions, Teacher, TeacherCache, TeacherSource, Wanted};
use safetensors::SafeTensors;

use support::{systems, write_teacher};

mod support;

const ELEMENTS: [&str; 4] = ["H", "C", "N", "O"];
/// Enough for two shards.
const TWO_SHARDS: usize = 9000;

fn network(folder: &Path, seed: u64) -> Teacher {
    let path = folder.join(format!("teacher{seed}.safetensors"));
    write_teacher(&path, seed, &ELEMENTS);
    open_teacher(path)
}

fn open_teacher(path: PathBuf) -> Teacher {
    Teacher::open(&TeacherSource::One(path), &LabelOptions::default(), DType::F32).unwrap()
}

/// A file of labels as a teacher, whose energies are those of the systems and `shift`: quick to ask.
fn labels(folder: &Path, systems: &[System], shift: f64) -> Teacher {
    let path = folder.join(format!("labels{shift}.extxyz"));
    let mut writer = write(&path).unwrap();
    for system in systems {
        writer.write(&System { energy: system.energy.map(|e| e + shift), ..system.clone() }).unwrap();
    }
    writer.finish().unwrap();
    open_teacher(path)
}

fn at(tap: &str, precision: Precision) -> Questions {
    let tap: Tap = tap.parse().unwrap();
    Questions { features: vec![Wanted { tap, kinds: vec![Kind::Node] }], precision, ..Questions::default() }
}

fn open(folder: &Path, teacher: &Teacher, systems: &[System], questions: &Questions) -> Result<(TeacherCache, Origin)> {
    open_or_make(folder, teacher, &Asked::about(&systems.to_vec().into())?, questions, &|_| {})
}

fn energies(cache: &TeacherCache, n: usize) -> Vec<f64> {
    (0..n).map(|i| cache.energy(i).unwrap()).collect()
}

fn error(folder: &Path, teacher: &Teacher, systems: &[System]) -> String {
    let error = open(folder, teacher, systems, &Questions::default()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

/// Writes a shard again with other metadata, its tensors as they are.
fn with_metadata(shard: &Path, metadata: Option<HashMap<String, String>>) {
    let bytes = std::fs::read(shard).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    std::fs::write(shard, safetensors::serialize(tensors.tensors(), metadata).unwrap()).unwrap();
}

fn identity(shard: &Path) -> ShardIdentity {
    let bytes = std::fs::read(shard).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["potstill-shard"]).unwrap()
}

#[test]
fn different_teachers_in_one_folder_never_mix() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(400, 100);
    let teachers = [1, 2].map(|seed| network(place.path(), seed));
    let expected = [0, 1].map(|k| {
        let folder = place.path().join(format!("own{k}"));
        energies(&open(&folder, &teachers[k], &dataset, &Questions::default()).unwrap().0, dataset.len())
    });
    assert!(expected[0] != expected[1]);
    for round in 0..4 {
        let shared = place.path().join(format!("shared{round}"));
        let together = Barrier::new(2);
        let outcomes: Vec<Result<Vec<f64>, String>> = std::thread::scope(|scope| {
            let run = |k: usize| {
                let (shared, together, teachers, dataset) = (&shared, &together, &teachers, &dataset);
                scope.spawn(move || {
                    together.wait();
                    let found = open(shared, &teachers[k], dataset, &Questions::default());
                    found.map(|(cache, _)| energies(&cache, dataset.len())).map_err(|e| e.to_string())
                })
            };
            [0, 1].map(run).into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
        for (outcome, expected) in outcomes.iter().zip(&expected) {
            match outcome {
                Ok(energies) => assert_eq!(energies, expected),
                Err(message) => assert!(
                    message.contains("distill.cache")
                        && (message.contains("is in use by process") || message.contains("this dataset by teacher")),
                    "{message}"
                ),
            }
        }
        assert!(!shared.join(LOCK_FILE).exists());
    }
}

#[test]
fn the_same_teacher_is_asked_once() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(400, 100);
    let teacher = network(place.path(), 1);
    let together = Barrier::new(3);
    let folder = place.path().join("cache");
    let origins: Vec<Origin> = std::thread::scope(|scope| {
        let run = || {
            together.wait();
            open(&folder, &teacher, &dataset, &Questions::default()).unwrap().1
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(origins.iter().filter(|o| **o == Origin::Made).count(), 1, "{origins:?}");
}

/// Each of several processes reads its own shards when it opens a cache.
#[test]
fn a_damaged_shard_is_found_by_the_process_that_verifies_it() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(4, 100);
    let teacher = labels(place.path(), &dataset, 0.5);
    let folder = place.path().join("cache");
    open(&folder, &teacher, &dataset, &Questions::default()).unwrap();
    let path = folder.join("shard-00000.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let asked = Asked::about(&dataset.clone().into()).unwrap();
    let open = |part: &str| {
        let asked = asked.clone().verifying(Some(part.parse().unwrap()));
        open_or_make(&folder, &teacher, &asked, &Questions::default(), &|_| {})
    };
    assert!(open("1/2").unwrap_err().to_string().contains("delete the cache"));
    assert_eq!(open("2/2").unwrap().1, Origin::Reused);
}

#[test]
fn a_second_process_waits_and_says_for_whom() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(4, 100);
    let teacher = network(place.path(), 1);
    let folder = place.path().join("cache");
    open(&folder, &teacher, &dataset, &Questions::default()).unwrap();
    let shard = identity(&folder.join("shard-00000.safetensors"));
    let purpose = |teacher: &str| {
        format!("caching the answers of teacher {} about dataset {}", &teacher[..12], &shard.structure_hash[..12])
    };
    // What fits needs no lock.
    let lock = FolderLock::acquire(&folder, &purpose(&shard.teacher_hash)).unwrap();
    assert_eq!(open(&folder, &teacher, &dataset, &Questions::default()).unwrap().1, Origin::Reused);

    let (lock, heard) = (Mutex::new(Some(lock)), Mutex::new(Vec::new()));
    let tell = |event| {
        if let Event::Waiting(holder) = event {
            heard.lock().unwrap().push(holder.to_string());
            lock.lock().unwrap().take();
        }
    };
    let questions = at("U1", Precision::F32);
    open_or_make(&folder, &teacher, &Asked::about(&dataset.clone().into()).unwrap(), &questions, &tell).unwrap();
    let heard = heard.into_inner().unwrap();
    assert!(heard.len() == 1 && heard[0].starts_with("process ") && heard[0].contains(" on host "), "{heard:?}");

    let _other = FolderLock::acquire(&folder, &purpose(&"0".repeat(64))).unwrap();
    let refused = open(&folder, &teacher, &dataset, &at("U2", Precision::F32)).unwrap_err().to_string();
    assert!(refused.contains("cache: is in use by process ") && refused.contains("teacher 000000000000"), "{refused}");
}

#[test]
fn readers_stay_right_while_a_cache_is_made_anew() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(30, 100);
    let teacher = network(place.path(), 1);
    let folder = place.path().join("cache");
    let indices: Vec<usize> = (0..dataset.len()).collect();
    let tap: Tap = "U1".parse().unwrap();
    let open_in = |precision| open(&folder, &teacher, &dataset, &at("U1", precision)).unwrap().0;
    let values = |cache: &TeacherCache| cache.features(Kind::Node, tap, &indices).unwrap();
    let kept = open_in(Precision::F32);
    let expected = [Precision::F32, Precision::F16].map(|precision| values(&open_in(precision)));
    assert!(expected[0] != expected[1]);
    std::thread::scope(|scope| {
        for (k, precision) in [(0, Precision::F32), (1, Precision::F16), (0, Precision::F32)] {
            let (open_in, values, expected) = (&open_in, &values, &expected);
            scope.spawn(move || (0..12).for_each(|_| assert!(values(&open_in(precision)) == expected[k])));
        }
    });
    // Open shards stay as they were, whatever lies in the folder now.
    assert!(values(&kept) == expected[0]);
}

#[test]
fn shards_that_are_not_the_right_ones_are_named() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(TWO_SHARDS, 100);
    let teacher = labels(place.path(), &dataset, 0.0);
    let make = |name: &str, teacher: &Teacher, dataset: &[System]| {
        let folder = place.path().join(name);
        open(&folder, teacher, dataset, &Questions::default()).unwrap();
        folder
    };
    let (folder, other_teacher) = (make("own", &teacher, &dataset), labels(place.path(), &dataset, 0.0625));
    let other = make("other", &other_teacher, &dataset);
    let moved: Vec<System> = dataset
        .iter()
        .map(|s| System { positions: s.positions.iter().map(|p| p.map(|x| x + 1e-5)).collect(), ..s.clone() })
        .collect();
    let elsewhere = make("elsewhere", &teacher, &moved);
    let [first, second] = ["shard-00000.safetensors", "shard-00001.safetensors"];
    let (own_first, own_second) =
        (std::fs::read(folder.join(first)).unwrap(), std::fs::read(folder.join(second)).unwrap());
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let flipped = |at: usize| {
        let mut bytes = own_second.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cases: [(&str, &dyn Fn(), &str); 8] = [
        (
            "copied from another teacher",
            &|| put(second, &std::fs::read(other.join(second)).unwrap()),
            "of the cache of teacher",
        ),
        (
            "copied from other systems",
            &|| put(first, &std::fs::read(elsewhere.join(first)).unwrap()),
            "of the cache of dataset",
        ),
        ("swapped", &|| put(first, &own_second), "is shard 1 of its cache, not 0"),
        ("a flipped bit of the last force", &|| put(second, &flipped(own_second.len() - 2)), "is damaged"),
        ("half", &|| put(second, &own_second[..own_second.len() / 2]), "not a complete shard"),
        ("empty", &|| put(second, &[]), "shard-00001"),
        ("gone", &|| std::fs::remove_file(folder.join(second)).unwrap(), "cannot open"),
        ("of another program", &|| with_metadata(&folder.join(second), None), "of another cache than the first one"),
    ];
    for (what, damage, wanted) in cases {
        damage();
        let message = error(&folder, &teacher, &dataset);
        assert!(message.contains("shard-0000") && message.contains(wanted), "{what}: {message}");
        put(first, &own_first);
        put(second, &own_second);
        assert_eq!(open(&folder, &teacher, &dataset, &Questions::default()).unwrap().1, Origin::Reused);
    }

    // Every shard of another making, with an index that tells of this one.
    let index = std::fs::read(folder.join("index.json")).unwrap();
    std::fs::write(other.join("index.json"), &index).unwrap();
    assert!(error(&other, &teacher, &dataset).contains("of the cache of teacher"));
}

#[test]
fn no_flipped_bit_changes_an_answer() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(6, 100);
    let teacher = network(place.path(), 1);
    let folder = place.path().join("cache");
    let questions = at("U1", Precision::F16);
    let answers = |cache: &TeacherCache| {
        let tap: Tap = "U1".parse().unwrap();
        let forces: Vec<f64> = (0..6).flat_map(|i| cache.forces(i).unwrap()).collect();
        (energies(cache, 6), forces, cache.features(Kind::Node, tap, &[0, 1, 2, 3, 4, 5]).unwrap())
    };
    let expected = answers(&open(&folder, &teacher, &dataset, &questions).unwrap().0);
    let (mut refused, mut harmless) = (0, 0);
    let shard = folder.join("shard-00000.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    for k in 0..400 {
        let mut damaged = bytes.clone();
        let at = k * 7919 % bytes.len();
        damaged[at] ^= 1 << (k % 8);
        std::fs::write(&shard, damaged).unwrap();
        match open(&folder, &teacher, &dataset, &questions) {
            Ok((cache, origin)) => {
                assert!(answers(&cache) == expected && origin == Origin::Reused, "byte {at}");
                harmless += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 380);
}

#[test]
fn caches_of_older_versions_and_other_programs_are_read() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(TWO_SHARDS, 100);
    let teacher = labels(place.path(), &dataset, 0.0);
    let folder = place.path().join("cache");
    let (cache, _) = open(&folder, &teacher, &dataset, &Questions::default()).unwrap();
    let expected = energies(&cache, dataset.len());
    let shards = ["shard-00000.safetensors", "shard-00001.safetensors"].map(|name| folder.join(name));
    let old = |plan: &str| Some(HashMap::from([("plan".to_owned(), plan.repeat(64))]));
    for metadata in [old("a"), None] {
        shards.iter().for_each(|shard| with_metadata(shard, metadata.clone()));
        let (cache, origin) = open(&folder, &teacher, &dataset, &Questions::default()).unwrap();
        assert_eq!((energies(&cache, dataset.len()), origin), (expected.clone(), Origin::Reused));
    }
    // Each shard of an old cache names the same plan.
    with_metadata(&shards[0], old("a"));
    with_metadata(&shards[1], old("b"));
    assert!(error(&folder, &teacher, &dataset).contains("of another cache than the first one"));
}

#[test]
fn absurd_indices_are_errors() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(6, 100);
    let teacher = network(place.path(), 1);
    let folder = place.path().join("cache");
    let questions = Questions { probes: Some(Probes { step: 0.01, n: 1 }), ..at("U1", Precision::F16) };
    open(&folder, &teacher, &dataset, &questions).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let huge = 1_000_000_000_000_000_000_u64;
    for (pointer, values, wanted) in [
        ("/taps/0/node_channels", vec![0, 19, 65_536, 1_000_000_000_000, huge], "taps.node_channels"),
        ("/shards/0/n_systems", vec![0, 1_000_000_000_000, huge], "shards.n_systems"),
        ("/shards/0/n_systems", vec![5, 7, 1_000_000], "of 6 systems"),
        ("/shards/0/n_atoms", vec![0, 1_000_000_000_000, huge], "shards.n_atoms"),
        ("/shards/0/n_atoms", vec![1, 1_000_000_000], "where these systems have"),
        ("/probes/n", vec![0, 1001, huge], "probes"),
        ("/teacher/hidden_channels", vec![0, 21, 65_538, huge], "model.hidden_channels"),
        ("/teacher/n_layers", vec![0, 1_000_000_000_000], "model.n_layers"),
        ("/format_version", vec![4, huge], "is newer than 3"),
    ] {
        for value in values {
            let mut changed = index.clone();
            *changed.pointer_mut(pointer).unwrap() = value.into();
            std::fs::write(folder.join("index.json"), changed.to_string()).unwrap();
            let cache = open_teacher_or_error(&folder);
            let by_network = open(&folder, &teacher, &dataset, &questions).map(|_| ()).map_err(|e| e.to_string());
            let by_cache =
                cache.and_then(|t| open(&folder, &t, &dataset, &questions).map(|_| ()).map_err(|e| e.to_string()));
            for outcome in [by_network, by_cache] {
                let message = outcome.expect_err(pointer);
                assert!(message.contains(wanted) && !message.contains('\n'), "{pointer} = {value}: {message}");
            }
        }
    }
    for (pointer, value) in [("/shards/0/file", "../cache/shard-00000.safetensors"), ("/shards/0/file", "/etc/passwd")]
    {
        let mut changed = index.clone();
        *changed.pointer_mut(pointer).unwrap() = value.into();
        std::fs::write(folder.join("index.json"), changed.to_string()).unwrap();
        assert!(error(&folder, &teacher, &dataset).contains("lies outside the folder"));
    }
}

fn open_teacher_or_error(folder: &Path) -> Result<Teacher, String> {
    Teacher::open(&TeacherSource::One(folder.to_owned()), &LabelOptions::default(), DType::F32)
        .map_err(|e| e.to_string())
}

#[test]
fn tensors_of_other_programs_are_checked() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(4, 100);
    let folder = place.path().join("cache");
    std::fs::create_dir(&folder).unwrap();
    let n_atoms: usize = dataset.iter().map(System::n_atoms).sum();
    let index = serde_json::json!({
        "format_version": 3, "structure_hash": "", "teacher_hash": "any name", "precision": "f32",
        "holds": {"energy": true, "forces": true, "atomic_energies": false}, "taps": [],
        "shards": [{"file": "shard-00000.safetensors", "n_systems": 4, "n_atoms": n_atoms}]
    });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    let path = folder.join("shard-00000.safetensors");
    let save = |energy: (safetensors::Dtype, Vec<usize>, Vec<u8>),
                forces: (safetensors::Dtype, Vec<usize>, Vec<u8>)| {
        let view = |(dtype, shape, bytes): &(safetensors::Dtype, Vec<usize>, Vec<u8>)| {
            safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap().data().to_vec()
        };
        let (energy_bytes, forces_bytes) = (view(&energy), view(&forces));
        let tensor =
            |dtype, shape: &[usize], bytes| safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        let tensors = [
            ("energy", tensor(energy.0, &energy.1, &energy_bytes)),
            ("forces", tensor(forces.0, &forces.1, &forces_bytes)),
        ];
        std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    };
    use safetensors::Dtype::{F32, F64, I64};
    let doubles = |n: usize, value: f64| value.to_le_bytes().repeat(n);
    let singles = |n: usize| 0.5_f32.to_le_bytes().repeat(n);
    let good = (F32, vec![n_atoms, 3], singles(3 * n_atoms));
    let teacher = || open_teacher(folder.clone());
    save((F64, vec![4], doubles(4, -1.5)), good.clone());
    let (cache, _) = open(&folder, &teacher(), &dataset, &Questions::default()).unwrap();
    assert_eq!((cache.energy(3).unwrap(), cache.forces(0).unwrap()[0]), (-1.5, 0.5));
    for (energy, wanted) in [
        ((F64, vec![4, 0], vec![]), "energy: expected 4 rows of 1 numbers"),
        ((F64, vec![3], doubles(3, 0.0)), "energy: expected 4 rows"),
        ((F64, vec![4, 2], doubles(8, 0.0)), "energy: expected 4 rows"),
        ((I64, vec![4], doubles(4, 0.0)), "found I64"),
        ((F64, vec![4], doubles(4, f64::NAN)), "energy: row 0 is NaN"),
    ] {
        save(energy, good.clone());
        let message = error(&folder, &teacher(), &dataset);
        assert!(message.contains(wanted), "{message}");
    }
    save((F64, vec![4], doubles(4, 0.0)), (F32, vec![3 * n_atoms], singles(3 * n_atoms)));
    let message = error(&folder, &teacher(), &dataset);
    assert!(message.contains(&format!("forces: expected {n_atoms} rows of 3 numbers")), "{message}");
}

#[test]
fn a_killed_making_leaves_its_finished_shards_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(TWO_SHARDS, 100);
    let teacher = labels(place.path(), &dataset, 0.0);
    let folder = place.path().join("cache");
    open(&folder, &teacher, &dataset, &Questions::default()).unwrap();
    // As a kill leaves it: a whole shard, a damaged one, a temporary file, the name of who held the lock, no index.
    std::fs::remove_file(folder.join("index.json")).unwrap();
    let first = std::fs::metadata(folder.join("shard-00000.safetensors")).unwrap().modified().unwrap();
    let second = std::fs::read(folder.join("shard-00001.safetensors")).unwrap();
    let mut damaged = second.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(folder.join("shard-00001.safetensors"), damaged).unwrap();
    std::fs::write(folder.join(".potstill-abc123.tmp"), "half a shard").unwrap();
    std::fs::write(folder.join(LOCK_FILE), "{\"process\": 1}").unwrap();
    assert_eq!(open(&folder, &teacher, &dataset, &Questions::default()).unwrap().1, Origin::Made);
    assert_eq!(std::fs::metadata(folder.join("shard-00000.safetensors")).unwrap().modified().unwrap(), first);
    assert_eq!(std::fs::read(folder.join("shard-00001.safetensors")).unwrap(), second);
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["index.json", "shard-00000.safetensors", "shard-00001.safetensors"]);
}
