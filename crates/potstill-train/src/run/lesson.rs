//! The teacher of a run: its cache, and the terms that compare with it.

use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_core::model::Header;
use potstill_core::ranks::{Alone, Ranks};
use potstill_core::{Error, Part, Result};
use potstill_data::dataset::Systems;

use super::{Data, Prelude, Tell};
use crate::config::Config;
use crate::distill::labelling::{self, Asked, Event};
use crate::distill::targets::LiveTeacher;
use crate::distill::terms::{Source, TermTeacher, Terms};
use crate::distill::{DistillConfig, Teacher, TeacherCache, Term};
use crate::prepared::Split;

/// Bytes of a cache whose verification is worth a word.
const LARGE_CACHE: usize = 1 << 30;

/// Asks the teacher for everything that the terms of `config` compare, into a cache that runs on the same data find ready.
///
/// # Errors
/// As [`train`](super::train).
pub fn make_cache(device: &Device, config: &Config, data: &Data, folder: &Path, tell: &Tell<'_>) -> Result<()> {
    let Some(distill) = &config.distill else { return Ok(()) };
    let fit = config.data.reference_energies.fit(&data.train)?;
    let systems = data.train.clone().without(&fit.isolated_systems).joined(data.synthetic.clone());
    let teacher = Teacher::open_on(device, &distill.teacher, &distill.labels, DType::F32)?;
    teacher.check_dataset(&systems)?;
    Lesson { device, ranks: &Alone, config, distill, teacher: &teacher, tell }.cache(&systems, folder).map(|_| ())
}

/// A student's configuration with its open teacher.
pub(super) struct Lesson<'a> {
    pub device: &'a Device,
    pub ranks: &'a dyn Ranks,
    pub config: &'a Config,
    pub distill: &'a DistillConfig,
    pub teacher: &'a Teacher,
    pub tell: &'a Tell<'a>,
}

impl Lesson<'_> {
    /// Cache of the teacher's answers about systems, found or made.
    fn cache(&self, systems: &Systems, folder: &Path) -> Result<TeacherCache> {
        let Self { config, distill, teacher, tell, .. } = self;
        let questions = distill.questions(teacher.architecture(), &config.model)?;
        if questions.probes.is_some() && matches!(teacher, Teacher::Labels(_)) {
            let message = "asks about structures that a file of labels does not have; give a model file as the teacher";
            return Err(Error::setting("distill.terms (hessian)", message));
        }
        let total = systems.len();
        let told = |event| match event {
            Event::Labelled(done) => tell(Prelude::Labelling(done, total)),
            Event::Waiting(holder) => tell(Prelude::Waiting(format!("{}: in use by {holder}", folder.display()))),
            Event::Note(note) => tell(Prelude::Note(note)),
            Event::Verified { bytes, seconds } if bytes > LARGE_CACHE => tell(Prelude::Verified(bytes, seconds)),
            Event::Verified { .. } => {}
        };
        let asked = Asked::among(self.ranks, systems)?;
        let part = Part::new(self.ranks.rank(), self.ranks.n_ranks()).filter(|_| !self.ranks.is_alone());
        let asked = asked.verifying(part);
        if let (Some(part), false) = (part, matches!(teacher, Teacher::Cache(..))) {
            labelling::make_part(folder, part, (teacher, &asked), &questions, &told)?;
            self.ranks.meet();
        }
        // Rank 0 writes the index, then the others read it.
        let open = || labelling::open_or_make(folder, teacher, &asked, &questions, &told);
        let (cache, origin) = self.ranks.after_the_first(open)?;
        distill.check_holds(cache.holds())?;
        tell(Prelude::Cache(origin, cache.n_bytes()));
        Ok(cache)
    }

    /// The active terms on training systems; `usual_cache` is the folder of the cache unless the configuration names another.
    pub fn terms(&self, train: &Split, header: &Header, usual_cache: &Path) -> Result<Terms> {
        let Self { config, distill, teacher, .. } = self;
        self.ranks.told(|| teacher.check_dataset(train.systems()))?;
        let source = match distill.online || !distill.terms.iter().any(Term::is_active) {
            true => {
                distill.questions(teacher.architecture(), &config.model)?;
                Source::Live
            }
            false => {
                let folder = distill.cache.clone().unwrap_or_else(|| usual_cache.to_owned());
                Source::Cache(self.cache(train.systems(), &folder)?)
            }
        };
        let live = match distill.needs_live_teacher() {
            true => Some(live_teacher(self.device, teacher, distill, config)?),
            false => None,
        };
        let teacher = TermTeacher { architecture: teacher.architecture().cloned(), source, live };
        let terms = Terms::new(distill, &config.model, teacher, header.scale.clone())?;
        // Graphs of systems on disk are drawn, and checked, at each step.
        terms.check_edges(train.prepared().iter().enumerate())?;
        Ok(terms)
    }
}

/// The teacher for questions at each step: its networks in the precision of the training, or its program.
fn live_teacher(device: &Device, teacher: &Teacher, distill: &DistillConfig, config: &Config) -> Result<LiveTeacher> {
    if let Teacher::Program(program) = teacher {
        return Ok(LiveTeacher::program(program.clone(), potstill_nn::dtype(config.training.dtype)));
    }
    let dtype = potstill_nn::dtype(config.training.dtype);
    match Teacher::open_on(device, &distill.teacher, &distill.labels, dtype)? {
        Teacher::Networks(models) => Ok(LiveTeacher::new(models)),
        _ => {
            let key = if distill.online { "distill.online" } else { "distill.augmentation" };
            Err(Error::setting(key, "asks the teacher at each step; give a model file or a program as the teacher"))
        }
    }
}
