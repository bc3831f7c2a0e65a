//! Distillation in rounds: the teacher labels structures, the student learns them, its dynamics find the next ones.
//!
//! | file | idea |
//! |---|---|
//! | `asked` | teacher that is asked no question twice |
//! | `budget` | labels of each round |
//! | `descriptor` | descriptor of a structure that does not change when it is turned or renumbered |
//! | `pick` | choice of structures that are far from all that is known |
//! | `start` | structures for the first training, from the seeds |
//! | `explore`, `survival` | dynamics of the student, and how far they come |
//! | `structures` | labelled structures in a folder; distance to test structures |
//! | `zero` | errors of the teacher on real labels, and its zero of energy |
//! | `training` | configuration of the training of each round |
//! | `dynamics`, `distances` | dynamics of the last student beside those of its teacher |
//! | `outcome` | numbers of all rounds |
//!
//! Everything that is finished is a file: a run that is interrupted or killed goes on where it was, within a training from its last
//! checkpoint.

mod asked;
mod budget;
mod descriptor;
mod distances;
mod dynamics;
mod explore;
mod outcome;
mod pick;
mod start;
mod structures;
mod survival;
mod training;
mod zero;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use potstill_core::files::write_atomically;
use potstill_core::ranks::Alone;
use potstill_core::{Error, Potential, Result, System};
use potstill_data::dataset::Visit;
use potstill_data::io::LabelKeys;

use crate::config::Config;
use crate::distill::RoundsConfig;
use crate::folder::{RunFolder, Start};
use crate::host::Host;
use crate::observer::Ending;
use crate::run::{Prelude, Surroundings, train_on};

use self::asked::Asked;
use self::descriptor::Descriptors;
use self::structures::{Forbidden, Found, Labeller, StructureFolder};
use self::training::Stage;

pub use self::distances::{Distances, LONGEST};
pub use self::dynamics::{AtTemperature, Cost, DynamicsCheck};
pub use self::outcome::{Outcome, Round};
pub use self::start::CALLS_PER_LABEL;
pub use self::survival::{Lifetime, Survival};
pub use self::zero::{TeacherErrors, Zero};

/// Inputs of a distillation in rounds.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Configuration with `distill.rounds`.
    pub config: &'a Config,
    /// Teacher that is asked.
    pub teacher: &'a dyn Potential,
    /// Reading data, running students, showing progress.
    pub host: &'a dyn Host,
    /// Folder for everything.
    pub out: &'a Path,
    /// Flag that ends the run at the next step, all saved.
    pub interrupt: &'a AtomicBool,
}

/// Distillation in rounds, checked and ready.
pub struct Distillation<'a> {
    job: Job<'a>,
    rounds: &'a RoundsConfig,
    teacher: Asked<'a>,
    seeds: Vec<System>,
    descriptors: Descriptors,
    forbidden: Forbidden,
}

impl<'a> Distillation<'a> {
    /// Reads seeds and test structures and checks everything that can be checked before the teacher is asked; writes nothing.
    ///
    /// # Errors
    /// Settings and files that cannot be used; seeds that are all test structures.
    pub fn new(job: Job<'a>) -> Result<Self> {
        job.config.validate()?;
        let Some(rounds) = job.config.distill.as_ref().and_then(|distill| distill.rounds.as_ref()) else {
            return Err(Error::setting("distill.rounds", "is not there, so there are no rounds to run"));
        };
        let keys = LabelKeys {
            energy: job.config.data.energy_key.clone(),
            forces: job.config.data.forces_key.clone(),
            stress: None,
        };
        let read = |files: &[PathBuf]| -> Result<Vec<System>> {
            let mut all = Vec::new();
            if !files.is_empty() {
                job.host.systems(files, &keys)?.visit(&mut |_, system| {
                    all.push(system.clone());
                    Ok(())
                })?;
            }
            Ok(all)
        };
        let seed_files = if rounds.seeds.is_empty() { &job.config.data.train } else { &rounds.seeds };
        let mut seeds = read(seed_files)?;
        // An isolated atom gives a reference energy and no structure to start from.
        seeds.retain(|system| system.n_atoms() > 1);
        if seeds.is_empty() {
            return Err(Error::setting("distill.rounds.seeds", "hold no structure of two atoms or more"));
        }
        let test = read(&rounds.test)?;
        let elements = seeds.iter().chain(&test).flat_map(|system| system.atomic_numbers.iter().copied()).collect();
        let descriptors = Descriptors::new(elements);
        let forbidden = Forbidden::new(descriptors.clone(), &test)?;
        let n_seeds = seeds.len();
        match forbidden.keep_away(&mut seeds)? {
            0 => {}
            n_near if n_near == n_seeds => {
                let message =
                    "are all as good as test structures, so the student would be judged on what it learnt; give others";
                return Err(Error::setting("distill.rounds.seeds", message));
            }
            n_near => job.host.prelude(Prelude::Note(format!(
                "{n_near} of {n_seeds} seeds were left out, because they are as good as test structures"
            ))),
        }
        let own = Self { teacher: Asked::new(job.teacher, job.interrupt), job, rounds, seeds, descriptors, forbidden };
        own.check_budget()?;
        Ok(own)
    }

    /// Runs what is not done yet; none when it was interrupted.
    ///
    /// # Errors
    /// What the teacher refuses; a student that learns nothing finite; what the file system says.
    pub fn run(&self) -> Result<Option<Outcome>> {
        match self.stages() {
            // The teacher is not asked any more.
            Err(_) if self.job.interrupt.load(Ordering::Relaxed) => Ok(None),
            result => result,
        }
    }

    fn stages(&self) -> Result<Option<Outcome>> {
        let zero = self.zero()?;
        let mut model = None;
        for round in 1..=self.rounds.n {
            if !self.label_for(zero.as_ref(), round, model.as_deref())? {
                return Ok(None);
            }
            match self.train(Stage::Round(round), model.as_deref())? {
                Some(path) => model = Some(path),
                None => return Ok(None),
            }
        }
        if self.fine_tunes() {
            match self.train(Stage::FineTuning, model.as_deref())? {
                Some(path) => model = Some(path),
                None => return Ok(None),
            }
        }
        let Some(model) = model else { return Ok(None) };
        let bytes = std::fs::read(&model).map_err(|e| Error::io(&model, "cannot open", e))?;
        let shipped = self.job.out.join("model.safetensors");
        write_atomically(&shipped, |writer| writer.write_all(&bytes))?;
        let Some(dynamics) = self.dynamics(&model)? else { return Ok(None) };
        let outcome = self.outcome(zero, shipped, dynamics)?;
        structures::write_json(&self.job.out.join("rounds.json"), &outcome)?;
        Ok(Some(outcome))
    }

    /// Zero of the teacher's energies, where there are real labels.
    fn zero(&self) -> Result<Option<Zero>> {
        if !self.fine_tunes() {
            return Ok(None);
        }
        let real = self.job.host.data(&self.job.config.data)?.train;
        Zero::find(&self.teacher, &real, &self.job.out.join("rounds").join("teacher.json")).map(Some)
    }

    /// Whether the last training is on real labels.
    fn fine_tunes(&self) -> bool {
        !self.job.config.data.train.is_empty()
    }

    /// File of the teacher's answers, while they stand nowhere else.
    fn answers(&self) -> PathBuf {
        self.job.out.join("rounds").join("answers.jsonl")
    }

    /// Folder of what the teacher labelled for a round.
    fn structures(&self, round: usize) -> StructureFolder {
        StructureFolder(self.job.out.join("rounds").join(format!("structures-{round}")))
    }

    /// Has structures labelled for a round, unless that is done; false when it was interrupted.
    fn label_for(&self, zero: Option<&Zero>, round: usize, student: Option<&Path>) -> Result<bool> {
        let folder = self.structures(round);
        if folder.found()?.is_some() {
            return Ok(true);
        }
        let labeller = Labeller {
            teacher: &self.teacher,
            shift: zero.map(|zero| &zero.shift),
            forbidden: &self.forbidden,
            descriptors: &self.descriptors,
        };
        self.teacher.remember(&self.answers())?;
        let before = self.teacher.n_calls();
        let n = self.labels_for(round)?;
        let made = match student {
            None => Some(self.first(&labeller, n)?),
            Some(student) => self.next(&labeller, round, n, student)?,
        };
        let Some((mut train, mut validation, mut found)) = made else { return Ok(false) };
        if train.is_empty() || (round == 1 && validation.is_empty()) {
            return Err(Error::Other(format!(
                "round {round}: no structure was left to learn from: {} too near, {} with too large a force; look at the seeds",
                found.rejected.distance, found.rejected.force
            )));
        }
        [&mut train, &mut validation].into_iter().for_each(|systems| structures::mark(systems, round));
        (found.n_train, found.n_validation) = (train.len(), validation.len());
        found.n_calls = self.teacher.n_calls() - before;
        folder.write(&train, &validation, &found)?;
        self.teacher.forget();
        Ok(!self.job.interrupt.load(Ordering::Relaxed))
    }

    /// Structures from the seeds, made and labelled by the teacher.
    fn first(&self, labeller: &Labeller<'_>, n_labels: usize) -> Result<Labelled> {
        let task = self.job.host.task("round 1: the teacher makes structures", 2);
        let mut found = Found::default();
        let n_validation = n_validation(n_labels);
        let mut made = Vec::new();
        for (k, n) in [n_labels - n_validation, n_validation].into_iter().enumerate() {
            // Of a random stream of its own: what validates is not of the trajectories that are learnt.
            let stream = self.job.config.seed.wrapping_mul(2).wrapping_add(k as u64);
            let systems = self.made_of_seeds(labeller, n, stream, &mut found)?;
            made.push(systems);
            task.set(k + 1);
        }
        let validation = made.pop().unwrap_or_default();
        Ok((made.pop().unwrap_or_default(), validation, found))
    }

    /// Structures that the student's dynamics came by and that are far from what is known, labelled by the teacher.
    fn next(&self, labeller: &Labeller<'_>, round: usize, n_labels: usize, student: &Path) -> Result<Option<Labelled>> {
        let rounds = self.rounds;
        let potential = self.job.host.potential(student)?;
        let task = self.job.host.task(&format!("round {round}: trajectories of the student"), rounds.trajectories);
        let seed = self.job.config.seed.wrapping_mul(1000).wrapping_add(round as u64);
        let tell = |done: usize| task.set(done);
        let explored = explore::explore(potential.as_ref(), &self.seeds, rounds, seed, self.job.interrupt, &tell)?;
        let Some(explored) = explored else { return Ok(None) };
        drop(task);
        let mut found = Found { lifetimes: explored.lifetimes, ..Found::default() };
        let n_validation = n_validation(n_labels);
        let (train, validation) = structures::by_trajectory(explored.structures, rounds.temperatures.len());
        let mut known = Vec::new();
        for earlier in 1..round {
            for system in structures::read(&self.structures(earlier).train())? {
                known.push(self.descriptors.of(&system)?);
            }
        }
        let task = self.job.host.task(&format!("round {round}: the teacher labels"), 2);
        let n_train = n_labels - n_validation;
        let mut train = labeller.choose(train, &known, n_train, &mut found)?;
        task.set(1);
        let mut validation = labeller.choose(validation, &[], n_validation, &mut found)?;
        // A student whose dynamics break at once finds nothing: the seeds give what is missing.
        for (systems, wanted) in [(&mut train, n_train), (&mut validation, n_validation)] {
            if 2 * systems.len() < wanted {
                let stream = seed.wrapping_add(wanted as u64);
                systems.extend(self.made_of_seeds(labeller, wanted - systems.len(), stream, &mut found)?);
            }
        }
        Ok(Some((train, validation, found)))
    }

    /// Structures from the seeds, made and labelled by the teacher.
    fn made_of_seeds(&self, labeller: &Labeller<'_>, n: usize, seed: u64, found: &mut Found) -> Result<Vec<System>> {
        let (mut systems, rejected) = start::structures(&self.teacher, &self.seeds, self.rounds, n.max(1), seed)?;
        found.n_candidates += systems.len() + rejected.total();
        found.rejected.add(rejected);
        found.n_near_test += self.forbidden.keep_away(&mut systems)?;
        labeller.align(&mut systems)?;
        Ok(systems)
    }

    /// Trains a stage, unless that is done, and gives its model; none when it was interrupted.
    fn train(&self, stage: Stage, from: Option<&Path>) -> Result<Option<PathBuf>> {
        let path = self.job.out.join("rounds").join(stage.to_string());
        let model = path.join("model.safetensors");
        if model.exists() {
            return Ok(Some(model));
        }
        let (config, data) = self.training(stage, from)?;
        let folder = RunFolder::open(&path, Start::Resume)?;
        let mut observer = self.job.host.observer(&stage.to_string());
        let tell = |event| self.job.host.prelude(event);
        let surroundings = Surroundings {
            device: self.job.host.device(),
            ranks: &Alone,
            folder: &folder,
            interrupt: self.job.interrupt,
            tell: &tell,
        };
        let summary = train_on(surroundings, &config, data, observer.as_mut())?;
        Ok((summary.ending != Ending::Interrupted).then_some(summary.model))
    }
}

/// Structures to learn from, structures that validate, and what they came from.
type Labelled = (Vec<System>, Vec<System>, Found);

/// Structures of each round that validate: one in eight.
fn n_validation(n_labels: usize) -> usize {
    (n_labels / 8).max(1).min(n_labels.saturating_sub(1))
}
