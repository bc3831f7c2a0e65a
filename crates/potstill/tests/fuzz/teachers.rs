//! What a teacher leaves behind: caches, and files of labels.

use std::path::Path;

use burn::tensor::DType;
use potstill_core::{Error, Result};
use potstill_data::dataset::Systems;
use potstill_testkit::fuzz::{Target, shape};
use potstill_train::distill::{Kind, LabelOptions, Questions, Teacher, TeacherSource, labelling};

use super::inputs::{molecules, wanted};
use super::systems::reader;
use super::{FOLDER, corpus};

const INDEX: &[&str] = &[
    "\"n_systems\": ",
    "\"n_atoms\": ",
    "\"node_channels\": ",
    "\"kinds\": [\"node\"]",
    "\"edge\"",
    "\"shards\": []",
    "\"taps\": []",
    "\"file\": \"../x\"",
    "\"teacher\": null",
    "\"probes\": {\"n\": 2, \"step\": 0.01, \"seed\": 0}",
    "\"f32\"",
    "\"forces\": false",
];

/// All of them.
pub fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "cache-index",
            file: "index.json",
            corpus: corpus("cache-index"),
            dictionary: INDEX,
            shape: shape::plain,
            read: reader(|path| cached(path, "cache-shard/shard.safetensors", "shard-00000.safetensors")),
        },
        Target {
            name: "cache-shard",
            file: "shard-00000.safetensors",
            corpus: corpus("cache-shard"),
            dictionary: &[
                "\"energy\"",
                "\"node.U1\"",
                "\"F16\"",
                "\"U32\"",
                "\"shape\":[2]",
                "\"shape\":[8,0]",
                "[0,0]",
            ],
            shape: shape::safetensors,
            read: reader(|path| cached(path, "cache-index/index.json", "index.json")),
        },
        Target {
            name: "label-file",
            file: "labels.extxyz",
            corpus: corpus("label-file"),
            dictionary: &["energy=", "atomic_energies=\"", "forces:R:3", "nan", "-1e30", "2\n", "H", "O"],
            shape: shape::plain,
            read: reader(labels),
        },
    ]
}

/// Opens the cache that the input is a file of, beside another file of the corpus, and reads all that it holds.
fn cached(path: &Path, other: &str, name: &str) -> Result<()> {
    let beside = path.with_file_name(name);
    if !beside.exists() {
        let from = Path::new(FOLDER).join("corpus").join(other);
        std::fs::copy(&from, &beside).map_err(|e| Error::io(&from, "cannot copy", e))?;
    }
    let folder = path.parent().unwrap_or(path);
    let teacher = Teacher::open(&TeacherSource::One(folder.to_owned()), &LabelOptions::default(), DType::F32)?;
    let systems: Systems = molecules().into();
    let questions = Questions { features: wanted(), ..Questions::default() };
    let (cache, _) =
        labelling::open_or_make(folder, &teacher, &labelling::Asked::about(&systems)?, &questions, &|_| {})?;
    let holds = cache.holds();
    for i in 0..systems.len() {
        if holds.energy {
            cache.energy(i)?;
        }
        if holds.forces {
            cache.forces(i)?;
        }
        if holds.atomic_energies {
            cache.atomic_energies(i)?;
        }
        if holds.spread {
            cache.energy_spread(i)?;
            cache.forces_spread(i)?;
        }
        for tap in wanted() {
            for kind in [Kind::Node, Kind::EdgeSum, Kind::Vector, Kind::Edge] {
                cache.channels(kind, tap.tap);
                let _ = cache.features(kind, tap.tap, &[i]);
            }
        }
    }
    Ok(())
}

/// Labels of the same molecules.
fn labels(path: &Path) -> Result<()> {
    let options = LabelOptions { align_energies: Some(true), ..LabelOptions::default() };
    let teacher = Teacher::open(&TeacherSource::One(path.to_owned()), &options, DType::F32)?;
    let systems: Systems = molecules().into();
    teacher.hash(&systems)?;
    teacher.about(&systems)?.answer(0..systems.len(), &[], None).map(|_| ())
}
