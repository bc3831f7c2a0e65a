//! What a teacher, a student and data can reach, found out by short trainings.
//!
//! With `x` the error of a student against its teacher and `λ` the error of the teacher against real labels, a distilled student
//! has about `√(x² + λ²)`, where both are independent. So a teacher is measured first, then the student alone after two short
//! trainings, one twice as long as the other, and the student distilled after the longer one.

mod verdict;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use potstill_core::ranks::Alone;
use potstill_core::{Error, Potential, Result, System};
use potstill_data::dataset::{Systems, Visit};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::evaluation::measure;
use crate::folder::{RunFolder, Start};
use crate::generate::{Limits, label};
use crate::host::Host;
use crate::observer::Ending;
use crate::rounds::{TeacherErrors, Zero};
use crate::run::{Data, Surroundings, train_on};

pub use self::verdict::{Limit, Verdict};

/// Systems that errors on training data are taken from, at most.
const JUDGED: usize = 200;

/// Inputs of a plan.
pub struct Job<'a> {
    /// Configuration of the distillation.
    pub config: &'a Config,
    /// Teacher.
    pub teacher: &'a dyn Potential,
    /// Data of the configuration; the validation systems have labels.
    pub data: &'a Data,
    /// Running students, showing progress.
    pub host: &'a dyn Host,
    /// Empty folder for the short trainings.
    pub folder: &'a Path,
    /// Flag that ends it.
    pub interrupt: &'a AtomicBool,
    /// Seconds of the shorter trainings.
    pub seconds: f64,
    /// Part of the gap that shall be closed, in percent.
    pub wanted: f64,
}

/// Errors of energies in eV and of force components in eV/Å: means of absolute values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// That of the energy.
    pub energy: Option<f64>,
    /// That of a force component.
    pub forces: Option<f64>,
}

/// Short training of the student.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pilot {
    /// Seconds of training.
    pub seconds: f64,
    /// Steps in that time.
    pub steps: u64,
    /// Errors on the validation systems.
    pub validation: Errors,
    /// Errors on training systems.
    pub training: Errors,
    /// Errors against the teacher, on the validation systems.
    pub against_teacher: Errors,
}

/// Result of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Errors of the teacher on validation systems, after constants for the elements.
    pub teacher: TeacherErrors,
    /// The student alone, and twice as long.
    pub alone: [Pilot; 2],
    /// The student distilled as configured, as long as the longer one alone.
    pub distilled: Pilot,
    /// What it says.
    pub verdict: Verdict,
}

impl Job<'_> {
    /// Measures the teacher and trains the student three times; none when it was interrupted.
    ///
    /// # Errors
    /// No validation systems with labels; what the teacher refuses; a student that learns nothing finite.
    pub fn run(&self) -> Result<Option<Plan>> {
        if self.data.validation.is_empty() {
            let message = "names no file, and without labels that nobody learns from nothing can be planned; set some aside with \
                           `potstill data split`";
            return Err(Error::setting("data.validation", message));
        }
        let zero = Zero::measure(self.teacher, &self.data.validation)?;
        let told = self.told(&zero)?;
        let mut pilots = Vec::new();
        for (name, factor, distils) in [("alone", 1.0, false), ("alone-longer", 2.0, false), ("distilled", 2.0, true)] {
            match self.pilot(name, factor * self.seconds, distils, &told)? {
                Some(pilot) => pilots.push(pilot),
                None => return Ok(None),
            }
        }
        let [short, long, distilled] = pilots[..] else { return Ok(None) };
        let alone = [short, long];
        let verdict = Verdict::of(&zero.errors, &alone, &distilled, self.wanted);
        Ok(Some(Plan { teacher: zero.errors, alone, distilled, verdict }))
    }

    /// Validation systems with what the teacher says of them.
    fn told(&self, zero: &Zero) -> Result<Systems> {
        let limits = Limits { min_distance: 0.0, max_force: f64::INFINITY, max_energy_rise: f64::INFINITY };
        let (mut answers, _) = label(self.teacher, &spread(&self.data.validation)?, &limits)?;
        for system in &mut answers {
            let constant = zero.shift.total(&system.atomic_numbers)?;
            system.energy = system.energy.map(|energy| energy + constant);
        }
        Ok(answers.into())
    }

    /// Trains the student for some seconds.
    fn pilot(&self, name: &str, seconds: f64, distils: bool, told: &Systems) -> Result<Option<Pilot>> {
        let mut config = self.config.clone();
        let mut data = self.data.clone();
        if !distils {
            config.distill = None;
            // Structures that only the teacher labels are part of the distillation.
            if config.data.mix.is_some_and(|mix| !mix.labels) {
                (config.data.synthetic, config.data.mix, data.synthetic) = (Vec::new(), None, Systems::default());
            }
        }
        let training = &mut config.training;
        (training.max_minutes, training.max_steps, training.patience) = (Some(seconds / 60.0), None, None);
        training.epochs = LONG;
        let folder = RunFolder::open(&self.folder.join(name), Start::New)?;
        let mut observer = self.host.observer(name);
        let surroundings = Surroundings {
            device: self.host.device(),
            ranks: &Alone,
            folder: &folder,
            interrupt: self.interrupt,
            tell: &|_| {},
        };
        let summary = train_on(surroundings, &config, data, observer.as_mut())?;
        if summary.ending == Ending::Interrupted {
            return Ok(None);
        }
        let student = self.host.potential(&summary.model)?;
        let judge = |systems: &Systems| -> Result<Errors> {
            let metrics = measure(student.as_ref(), systems, None, &mut |_, _| {})?.metrics;
            Ok(Errors { energy: metrics.energy_mae, forces: metrics.forces_mae })
        };
        Ok(Some(Pilot {
            seconds: summary.seconds,
            steps: summary.steps,
            validation: judge(&self.data.validation)?,
            training: judge(&spread(&self.data.train)?.into())?,
            against_teacher: judge(told)?,
        }))
    }
}

/// More epochs than a short training has.
const LONG: u64 = 1_000_000;

/// At most some systems, evenly spread, of two atoms or more.
fn spread(systems: &Systems) -> Result<Vec<System>> {
    let step = systems.len().div_ceil(JUDGED).max(1);
    let mut chosen = Vec::new();
    systems.visit(&mut |index, system| {
        if index % step == 0 && system.n_atoms() > 1 {
            chosen.push(system.clone());
        }
        Ok(())
    })?;
    Ok(chosen)
}
