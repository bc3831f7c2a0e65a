//! Teachers: one or several networks, a file of labels, or a cache that was made elsewhere.

mod networks;

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use potstill_core::model::Architecture;
use potstill_core::{Error, Result, System};
use potstill_data::dataset::{Systems, Visit, text_hash};
use potstill_nn::Model;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::cache;
use super::labels::{LabelOptions, Labels, Matched};
use super::probes::Probes;
use super::questions::{Holds, Wanted};

/// Files that a configuration names as the teacher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a path, or a list of paths")]
pub enum TeacherFiles {
    /// A model file, a file of labels, or the folder of a cache.
    One(PathBuf),
    /// Model files, whose outputs are averaged; or files of labels, one after the other.
    Several(Vec<PathBuf>),
}

impl TeacherFiles {
    /// Paths in their order.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
        }
    }

    /// Paths that can be changed.
    pub fn paths_mut(&mut self) -> &mut [PathBuf] {
        match self {
            Self::One(path) => std::slice::from_mut(path),
            Self::Several(paths) => paths,
        }
    }
}

/// An open teacher.
#[derive(Debug)]
pub enum Teacher {
    /// Networks: the mean of their energies and forces, and features of the first.
    Networks(Vec<Model>),
    /// Labels that another program wrote.
    Labels(Labels),
    /// Cached answers of a network, with its architecture.
    Cache(PathBuf, Option<Box<Architecture>>),
}

/// Kind of a teacher's file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Network,
    Labels,
    Cache,
}

impl FileKind {
    fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
            return Self::Network;
        }
        let is_cache = ["index.json", "shard-00000.safetensors"].iter().any(|name| path.join(name).is_file());
        if is_cache { Self::Cache } else { Self::Labels }
    }
}

impl Teacher {
    /// Opens the files of a teacher. Model files end in `.safetensors`, a cache is a folder with an `index.json`, everything else
    /// holds labels.
    ///
    /// # Errors
    /// Files that cannot be read, and a list of different kinds.
    pub fn open(files: &TeacherFiles, options: &LabelOptions, dtype: DType) -> Result<Self> {
        let paths = files.paths();
        let Some(first) = paths.first() else {
            return Err(Error::setting("distill.teacher", "names no file; give a model, a file of labels or a cache"));
        };
        let kind = FileKind::of(first);
        if let Some(other) = paths.iter().find(|path| FileKind::of(path) != kind) {
            let message = format!(
                "{} and {} are not of one kind; several teachers are all networks, or all files of labels",
                first.display(),
                other.display()
            );
            return Err(Error::setting("distill.teacher", message));
        }
        match kind {
            FileKind::Network => Self::networks(
                paths.iter().map(|path| Model::load(path, &Device::flex(), dtype)).collect::<Result<_>>()?,
            ),
            FileKind::Labels => Ok(Self::Labels(Labels::open(paths, options)?)),
            FileKind::Cache if paths.len() > 1 => {
                Err(Error::setting("distill.teacher", "names several caches; give one, or the networks themselves"))
            }
            FileKind::Cache => Ok(Self::Cache(first.clone(), cache::architecture(first)?)),
        }
    }

    /// Networks that teach together.
    ///
    /// # Errors
    /// None at all, and one without forces among others that have them.
    pub fn networks(models: Vec<Model>) -> Result<Self> {
        match models.is_empty() {
            true => Err(Error::setting("distill.teacher", "names no network")),
            false => Ok(Self::Networks(models)),
        }
    }

    /// Architecture of the network that shows features, where there is one.
    pub fn architecture(&self) -> Option<&Architecture> {
        match self {
            Self::Networks(models) => models.first().map(|model| &model.header().model),
            Self::Labels(_) => None,
            Self::Cache(_, architecture) => architecture.as_deref(),
        }
    }

    /// Hash of everything that the answers about a dataset depend on, besides its structures.
    ///
    /// # Errors
    /// A dataset that cannot be read.
    pub fn hash(&self, systems: &Systems) -> Result<String> {
        match self {
            Self::Networks(models) => Ok(match &models[..] {
                [model] => model.hash().to_owned(),
                _ => text_hash(&models.iter().map(Model::hash).collect::<Vec<_>>().join(" ")),
            }),
            Self::Labels(labels) => labels.hash_about(systems),
            Self::Cache(folder, _) => cache::teacher_hash(folder),
        }
    }

    /// Checks that networks know every element of a dataset.
    ///
    /// # Errors
    /// The first system that one of them cannot be asked about.
    pub fn check_dataset(&self, systems: &Systems) -> Result<()> {
        let Self::Networks(models) = self else { return Ok(()) };
        let of = |e: Error| Error::setting("distill.teacher", e.to_string());
        models.iter().try_for_each(|model| model.check_dataset(systems).map_err(of))
    }

    /// Prepares for questions about a dataset.
    ///
    /// # Errors
    /// Labels that do not belong to the dataset.
    pub fn about<'a>(&'a self, systems: &'a Systems) -> Result<Answering<'a>> {
        match self {
            Self::Networks(models) => Ok(Answering { systems, from: From::Networks(models) }),
            Self::Labels(labels) => Ok(Answering { systems, from: From::Labels(Box::new(labels.matched(systems)?)) }),
            Self::Cache(folder, _) => {
                let message = "is a cache of other questions; it cannot be asked again";
                Err(Error::file(folder, message))
            }
        }
    }
}

/// A teacher together with the dataset that it is asked about.
pub struct Answering<'a> {
    systems: &'a Systems,
    from: From<'a>,
}

enum From<'a> {
    Networks(&'a [Model]),
    Labels(Box<Matched<'a>>),
}

impl Answering<'_> {
    /// Labels that every answer holds.
    pub fn holds(&self) -> Holds {
        match &self.from {
            From::Networks(models) => Holds { spread: models.len() > 1, ..Holds::default() },
            From::Labels(labels) => labels.holds(),
        }
    }

    /// Remarks about unusual answers, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        match &self.from {
            From::Networks(_) => Vec::new(),
            From::Labels(labels) => labels.notes().collect(),
        }
    }

    /// Runs of consecutive systems of about `max_atoms` atoms.
    pub fn batches(&self, part: Range<usize>, max_atoms: usize) -> Vec<Range<usize>> {
        self.systems.batches_of(part, max_atoms)
    }

    /// Answers about a run of systems.
    ///
    /// # Errors
    /// A graph that cannot be drawn, a file that can no longer be read.
    pub fn answer(&self, part: Range<usize>, wanted: &[Wanted], probes: Option<&Probes>) -> Result<Answer> {
        let members = self.systems.get_all(part.clone())?;
        let members: Vec<&System> = members.iter().map(AsRef::as_ref).collect();
        match &self.from {
            From::Labels(labels) => labels.answer(part, &members),
            From::Networks(models) => {
                let located = |e: Error| self.systems.locate(e.shifted(part.start));
                let answer = networks::ask(models, &members, wanted).map_err(located)?;
                let Some(probes) = probes else { return Ok(answer) };
                let products =
                    (0..probes.n).map(|probe| networks::product(models, &members, part.start, probes, probe));
                Ok(Answer { probes: products.collect::<Result<_>>()?, ..answer })
            }
        }
    }
}
