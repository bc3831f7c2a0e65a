//! Index of a cache: teacher, dataset, and the files with the answers.

use std::path::{Component, Path};

use potstill_core::model::Architecture;
use potstill_core::{Error, Precision, Result, limits};
use potstill_data::dataset::Systems;
use serde::{Deserialize, Serialize};

use super::INDEX;
use crate::distill::kind::{Kind, reduced_channels};
use crate::distill::probes::Probes;
use crate::distill::questions::{Holds, Questions, Wanted};

/// Atoms of one shard, about; bounds what a killed labelling loses.
const ATOMS_PER_SHARD: usize = 40_000;
/// Version of the layout.
const FORMAT_VERSION: u64 = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::distill) struct Index {
    pub format_version: u64,
    /// Empty where another program did not tell.
    pub structure_hash: String,
    pub teacher_hash: String,
    /// The network whose features these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Box<Architecture>>,
    pub precision: Precision,
    #[serde(default)]
    pub holds: Holds,
    pub taps: Vec<IndexTap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    pub shards: Vec<IndexShard>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::distill) struct IndexTap {
    pub tap: String,
    pub node_channels: usize,
    pub edge_channels: usize,
    pub kinds: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::distill) struct IndexShard {
    pub file: String,
    pub n_systems: usize,
    pub n_atoms: usize,
}

impl IndexTap {
    /// Checks the widths of the features that there are, which must be those of the network.
    fn check(&self, teacher: Option<&Architecture>) -> Result<()> {
        let own = teacher.map(|model| (model.node_channels(), reduced_channels(model)));
        for kind in &self.kinds {
            let (key, found, expected) = match kind {
                Kind::Node => ("taps.node_channels", self.node_channels, own.map(|own| own.0)),
                _ => ("taps.edge_channels", self.edge_channels, own.map(|own| own.1)),
            };
            limits::WIDTH.check(key, found)?;
            if let Some(expected) = expected.filter(|&expected| expected != found) {
                return Err(Error::setting(key, format!("is {found}, where the network has {expected}")));
            }
        }
        Ok(())
    }
}

/// The dataset and the teacher of a cache, by hash.
#[derive(Debug, Clone)]
pub(in crate::distill) struct Subject {
    pub structure_hash: String,
    pub teacher_hash: String,
}

impl Subject {
    /// A description that is the same for the same answers.
    pub fn purpose(&self) -> String {
        format!(
            "caching the answers of teacher {} about dataset {}",
            short(&self.teacher_hash),
            short(&self.structure_hash)
        )
    }
}

impl Index {
    /// The index in a folder; none where there is no such file.
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(INDEX);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, &text).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, "cannot open", e)),
        }
    }

    /// The index in a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let message = "holds shards of a teacher cache but no index.json: it is being made, or that was interrupted; run what \
                       makes it again";
        Self::find(folder)?.ok_or_else(|| Error::file(folder, message))
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let not_one = |e: &dyn std::fmt::Display| {
            Error::file(path, format!("not the index of a teacher cache: {e}; delete the folder"))
        };
        let index: Self = serde_json::from_str(text).map_err(|e| not_one(&e))?;
        if index.format_version > FORMAT_VERSION {
            let message =
                format!("format version {} is newer than {FORMAT_VERSION}; update potstill", index.format_version);
            return Err(Error::file(path, message));
        }
        index.check().map_err(|e| not_one(&e))?;
        Ok(index)
    }

    /// Refuses numbers that no cache has, before anything is made of them.
    fn check(&self) -> Result<()> {
        if let Some(teacher) = &self.teacher {
            teacher.validate()?;
        }
        self.taps.iter().try_for_each(|tap| tap.check(self.teacher.as_deref()))?;
        if let Some(probes) = &self.probes {
            probes.check().map_err(|message| Error::setting("probes", message))?;
        }
        for shard in &self.shards {
            limits::SYSTEMS.check("shards.n_systems", shard.n_systems)?;
            limits::ATOMS.check("shards.n_atoms", shard.n_atoms)?;
            if !Path::new(&shard.file).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(Error::setting("shards.file", format!("{:?} lies outside the folder", shard.file)));
            }
        }
        Ok(())
    }

    /// Checks that the cache is of this dataset and this teacher.
    pub fn check_same(&self, folder: &Path, subject: &Subject) -> Result<()> {
        let other = |what: &str, found: &str, expected: &str| {
            let message = format!(
                "holds what a teacher said of {what} {}, not {}; give another folder as `distill.cache` or delete this one",
                short(found),
                short(expected)
            );
            Err(Error::file(folder, message))
        };
        if self.structure_hash != subject.structure_hash {
            return other("dataset", &self.structure_hash, &subject.structure_hash);
        }
        if self.teacher_hash != subject.teacher_hash {
            return other("this dataset by teacher", &self.teacher_hash, &subject.teacher_hash);
        }
        Ok(())
    }

    /// The first thing that is asked for and not in the cache, in words.
    pub fn missing(&self, questions: &Questions) -> Option<String> {
        for wanted in &questions.features {
            let name = wanted.tap.to_string();
            let held = self.taps.iter().filter(|f| f.tap == name).flat_map(|f| &f.kinds);
            let lacking = wanted.kinds.iter().find(|kind| !held.clone().any(|held| held == *kind));
            if let Some(kind) = lacking {
                return Some(format!("{} features of {name}", kind.key()));
            }
        }
        if questions.virials && !self.holds.virial {
            return Some("virials".to_owned());
        }
        let has_probes = questions.probes.is_none() || self.probes == questions.probes;
        (!has_probes).then(|| "derivatives of the forces with these probes".to_owned())
    }

    /// Adds what the cache holds to the questions. It comes first, so that finished shards keep their order of tensors.
    pub fn keep(&self, questions: &mut Questions) {
        let mut all: Vec<Wanted> = Vec::new();
        for held in &self.taps {
            if let Ok(tap) = held.tap.parse() {
                Wanted::add(&mut all, tap, &held.kinds);
            }
        }
        for w in questions.features.drain(..) {
            Wanted::add(&mut all, w.tap, &w.kinds);
        }
        questions.features = all;
        questions.probes = questions.probes.or(self.probes);
        questions.virials |= self.holds.virial;
    }

    /// Index of a cache that is to be made, with the answers that the teacher has.
    pub fn plan(
        (architecture, holds): (Option<&Architecture>, Holds),
        systems: &Systems,
        questions: &Questions,
        subject: &Subject,
    ) -> Self {
        let (node_channels, edge_channels) =
            architecture.map_or((0, 0), |model| (model.node_channels(), reduced_channels(model)));
        let tap =
            |w: &Wanted| IndexTap { tap: w.tap.to_string(), node_channels, edge_channels, kinds: w.kinds.clone() };
        Self {
            format_version: FORMAT_VERSION,
            structure_hash: subject.structure_hash.clone(),
            teacher_hash: subject.teacher_hash.clone(),
            teacher: architecture.cloned().map(Box::new),
            precision: questions.precision,
            holds,
            taps: questions.features.iter().map(tap).collect(),
            probes: questions.probes,
            shards: shards(systems),
        }
    }
}

/// The systems in parts that are asked about one after the other.
fn shards(systems: &Systems) -> Vec<IndexShard> {
    let parts = systems.batches(ATOMS_PER_SHARD).into_iter().enumerate();
    parts
        .map(|(k, part)| IndexShard {
            file: format!("shard-{k:05}.safetensors"),
            n_systems: part.len(),
            n_atoms: part.map(|i| systems.n_atoms(i)).sum(),
        })
        .collect()
}

/// Hash of the teacher whose answers a cache holds.
///
/// # Errors
/// A folder without an index that can be read.
pub(in crate::distill) fn teacher_hash(folder: &Path) -> Result<String> {
    Ok(Index::read(folder)?.teacher_hash)
}

/// The network whose features a cache holds.
///
/// # Errors
/// No readable index.
pub(in crate::distill) fn architecture(folder: &Path) -> Result<Option<Box<Architecture>>> {
    Ok(Index::read(folder)?.teacher)
}

/// The first digits of a hash.
pub(super) fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
