//! Teachers: one or several networks, a running program, a file of labels, or a cache that was made elsewhere.

mod networks;
mod program;
mod source;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{DType, Device};
use potstill_core::model::{Architecture, Forces};
use potstill_core::{Error, Result, System};
use potstill_data::dataset::{Systems, Visit, text_hash};
use potstill_data::program::Program;
use potstill_nn::Model;
use potstill_nn::device::cpu;

use self::source::FileKind;
pub use self::source::TeacherSource;
use super::answer::Answer;
use super::cache;
use super::labels::{LabelOptions, Labels, Matched};
use super::probes::Probes;
use super::questions::{Holds, Wanted};

/// An open teacher.
#[derive(Debug)]
pub enum Teacher {
    /// Networks: the mean of their energies and forces, and features of the first.
    Networks(Vec<Model>),
    /// A program that is asked when it is needed.
    Program(Arc<Program>),
    /// Labels that another program wrote.
    Labels(Labels),
    /// Cached answers of a network, with its architecture.
    Cache(PathBuf, Option<Box<Architecture>>),
}

impl Teacher {
    /// Opens a teacher whose networks run on the CPU.
    ///
    /// # Errors
    /// As [`Self::open_on`].
    pub fn open(source: &TeacherSource, options: &LabelOptions, dtype: DType) -> Result<Self> {
        Self::open_on(&cpu(), source, options, dtype)
    }

    /// Opens a teacher whose networks run on a device. A program is started when it is first asked. Model files end in `.safetensors`, a cache is a folder with an `index.json`, everything else
    /// holds labels.
    ///
    /// # Errors
    /// Files that cannot be read, and a list of different kinds.
    pub fn open_on(device: &Device, source: &TeacherSource, options: &LabelOptions, dtype: DType) -> Result<Self> {
        if let TeacherSource::Program(settings) = source {
            let of = |e: Error| Error::setting("distill.teacher", e.to_string());
            return Ok(Self::Program(Arc::new(Program::new(settings).map_err(of)?)));
        }
        let paths = source.paths();
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
            FileKind::Network => {
                Self::networks(paths.iter().map(|path| Model::load(path, device, dtype)).collect::<Result<_>>()?)
            }
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
            Self::Labels(_) | Self::Program(_) => None,
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
            Self::Program(program) => Ok(text_hash(&format!("program {}", program.settings().hash()))),
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
    /// Labels that do not belong to the dataset, and a program that does not answer about its first system.
    pub fn about<'a>(&'a self, systems: &'a Systems) -> Result<Answering<'a>> {
        match self {
            Self::Networks(models) => Ok(Answering { systems, from: From::Networks(models) }),
            Self::Program(program) => {
                let holds = program::holds(program, systems)?;
                Ok(Answering { systems, from: From::Program(program, holds) })
            }
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
    Program(&'a Program, Holds),
    Labels(Box<Matched<'a>>),
}

impl Answering<'_> {
    /// Labels that every answer holds.
    pub fn holds(&self) -> Holds {
        match &self.from {
            From::Networks(models) => {
                let is_gradient = |model: &Model| model.header().model.forces() == Forces::Gradient;
                Holds { spread: models.len() > 1, virial: models.iter().all(is_gradient), ..Holds::default() }
            }
            From::Program(_, holds) => *holds,
            From::Labels(labels) => labels.holds(),
        }
    }

    /// Remarks about unusual answers, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        match &self.from {
            From::Networks(_) | From::Program(..) => Vec::new(),
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
    /// A graph that cannot be drawn, a file that can no longer be read, a program that does not answer.
    pub fn answer(&self, part: Range<usize>, wanted: &[Wanted], probes: Option<&Probes>) -> Result<Answer> {
        let members = self.systems.get_all(part.clone())?;
        let members: Vec<&System> = members.iter().map(AsRef::as_ref).collect();
        let first = part.start;
        let located = |e: Error| self.systems.locate(e.shifted(first));
        match &self.from {
            From::Labels(labels) => labels.answer(part, &members),
            From::Program(program, holds) => {
                let answer = program::ask(program, &members, *holds).map_err(located)?;
                let Some(probes) = probes else { return Ok(answer) };
                let forces = |copies: &[&System]| program::forces(program, copies);
                let products = (0..probes.n).map(|probe| probes.product(&members, first, probe, &forces));
                Ok(Answer { probes: products.collect::<Result<_>>().map_err(located)?, ..answer })
            }
            From::Networks(models) => {
                let answer = networks::ask(models, &members, wanted).map_err(located)?;
                let Some(probes) = probes else { return Ok(answer) };
                let forces = |copies: &[&System]| networks::forces(models, copies);
                let products = (0..probes.n).map(|probe| probes.product(&members, first, probe, &forces));
                Ok(Answer { probes: products.collect::<Result<_>>().map_err(located)?, ..answer })
            }
        }
    }
}
