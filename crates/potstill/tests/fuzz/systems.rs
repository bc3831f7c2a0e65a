//! Files of systems.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use potstill_core::Result;
use potstill_core::graph::{GraphRule, Neighbors};
use potstill_core::{Error, System};
use potstill_data::dataset::{LabelNeeds, Need, Statistics, validate};
use potstill_data::io::lmdb::Lmdb;
use potstill_data::io::{ExtxyzReader, LabelKeys, Oc20Lmdb, StoredFile, read_all};
use potstill_testkit::fuzz::{Reader, Target, shape};

use super::corpus;

const XYZ: &[&str] = &[
    "Properties=species:S:1:pos:R:3",
    ":forces:R:3",
    ":move_mask:L:1",
    ":tags:I:1",
    "Lattice=\"5 0 0 0 5 0 0 0 5\"",
    "pbc=\"T T F\"",
    "energy=",
    "virial=",
    "stress=\"",
    "free_energy=-1",
    "H 0 0 0\n",
    "Og",
    "X",
    "T",
    "F",
    "[[1,2],[3,4]]",
    "{1 2 3}",
    "\"",
    "species:S:1",
    ":R:99999999999",
    "2\n",
    "\n",
];

/// All of them.
pub fn targets() -> Vec<Target> {
    let xyz = |name, read: Reader| Target {
        name,
        file: "input.extxyz",
        corpus: corpus("extxyz"),
        dictionary: XYZ,
        shape: shape::plain,
        read,
    };
    vec![
        xyz("extxyz", reader(whole)),
        Target { corpus: corpus("compressed"), ..xyz("compressed", reader(whole)) },
        Target { corpus: corpus("keys"), ..xyz("keys", reader(keys)) },
        xyz("graph", reader(graph)),
        Target {
            name: "npz",
            file: "input.npz",
            corpus: corpus("npz"),
            dictionary: &[
                "'descr': '<f8'",
                "'<i4'",
                "'>f4'",
                "'fortran_order': True",
                "'shape': (3, 3)",
                "(9999999999,)",
            ],
            shape: shape::zip,
            read: reader(whole),
        },
        Target {
            name: "lmdb",
            file: "input.lmdb",
            corpus: corpus("lmdb"),
            dictionary: &["length", "0", "1"],
            shape: shape::plain,
            read: reader(lmdb),
        },
        Target {
            name: "oc20",
            file: "input.pickle",
            corpus: corpus("oc20"),
            dictionary: super::checkpoints::PICKLE,
            shape: shape::plain,
            read: reader(oc20),
        },
        Target {
            name: "index",
            file: "input.potstill-index",
            corpus: corpus("index"),
            dictionary: &["\"n_places\":", "\"n_systems\":", "null", "energy"],
            shape: shape::hashed,
            read: reader(index),
        },
    ]
}

/// A reader whose errors are those of the crates.
pub fn reader(read: fn(&Path) -> Result<()>) -> Reader {
    Box::new(move |path| read(path).map_err(|e| e.to_string()))
}

/// Reads a file, then looks at its systems as every command does.
fn whole(path: &Path) -> Result<()> {
    let (systems, _) = read_all(path, &LabelKeys::default())?;
    Statistics::of(&systems);
    let needs = LabelNeeds { energy: Need::Optional, forces: Need::Optional, stress: Need::Optional };
    validate(&systems, &needs, None)
}

/// The first three lines are names of labels, the rest is extended XYZ.
fn keys(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let mut parts = bytes.splitn(4, |&b| b == b'\n');
    let mut key = || Some(String::from_utf8_lossy(parts.next()?).into_owned()).filter(|key| !key.is_empty());
    let keys = LabelKeys { energy: key(), forces: key(), stress: key() };
    let text = parts.next().unwrap_or_default();
    ExtxyzReader::from_reader(text, path, &keys).try_for_each(|system| system.map(|_| ()))
}

/// Draws the graphs of small systems.
fn graph(path: &Path) -> Result<()> {
    for neighbors in [Neighbors::All, Neighbors::Nearest(4)] {
        let rule = GraphRule { cutoff: 4.0, neighbors, symmetric: neighbors != Neighbors::All };
        for system in ExtxyzReader::open(path, &LabelKeys::default())? {
            let system: System = system?;
            if system.n_atoms() <= 64 {
                rule.build(&[&system])?;
            }
        }
    }
    Ok(())
}

fn lmdb(path: &Path) -> Result<()> {
    let lmdb = Lmdb::open(path)?;
    for key in lmdb.keys() {
        lmdb.get(&key?)?;
    }
    Oc20Lmdb::from_lmdb(lmdb)?.iter().try_for_each(|system| system.map(|_| ()))
}

/// A pickled graph object, as the only system of a database.
fn oc20(path: &Path) -> Result<()> {
    let record = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let database = super::inputs::database(&[(b"0", &record)]);
    Oc20Lmdb::from_lmdb(Lmdb::from_source(Box::new(database), path)?)?.get(0).map(|_| ())
}

/// Time of the last change of every file that an index of the corpus belongs to.
pub fn fixed_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// Text that the indices of the corpus belong to.
pub const INDEXED: &str = "1\nenergy=1.5\nH 0 0 0\n2\nenergy=2.5\nO 0 0 1\nH 0 0 2\n1\nenergy=3.5\nC 0 0 0\n";

/// Lays the input beside a file as its index, and reads every system of that file.
fn index(path: &Path) -> Result<()> {
    let data = path.with_file_name("data.xyz");
    let fail = |e| Error::io(&data, "cannot prepare", e);
    if !data.exists() {
        std::fs::write(&data, INDEXED).map_err(fail)?;
        File::options().write(true).open(&data).and_then(|f| f.set_modified(fixed_time())).map_err(fail)?;
    }
    std::fs::copy(path, path.with_file_name("data.xyz.potstill-index")).map_err(fail)?;
    let file = StoredFile::open(&data, &LabelKeys::default(), None, &|_| {})?;
    (0..file.len()).try_for_each(|i| file.get(i).map(|_| ()))
}
