//! The file of a study, and the trainings that it asks for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use potstill_core::{Error, Precision, Result};
use serde::Deserialize;

use super::test_sets::TestFiles;
use super::within;
use crate::config::Config;
use crate::distill::{Augmentation, DistillConfig, TeacherSource, Term};

/// File with the result of a training, in its folder.
pub(super) const RESULT: &str = "result.json";

/// Reads the configuration of a student and changes settings, as with `--set`.
type Configure<'a> = dyn Fn(&Path, &[String]) -> Result<Config> + 'a;

/// A study as its file describes it; paths in the file are relative to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Model file of the teacher, a list of them, whose mean teaches, or a program that is asked, `{ command = ["python",
    /// "teacher.py"] }`.
    pub teacher: TeacherSource,
    /// Labelled systems that every model is judged on; nothing is trained or chosen on them. Files, or several sets of them by
    /// name, `{ "300 K" = ["a.xyz"], "600 K" = ["b.xyz"] }`.
    pub test: TestFiles,
    /// Key of the energy in the test files. Default: that of the students' configurations.
    #[serde(default)]
    pub energy_key: Option<String>,
    /// Name of the forces column in the test files. Default: that of the students' configurations.
    #[serde(default)]
    pub forces_key: Option<String>,
    /// Seeds of weights and order; every run is done with each.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// Precision of cached features.
    #[serde(default = "Precision::of_features")]
    pub feature_precision: Precision,
    /// Choice of the weights for the runs that ask for it.
    #[serde(default)]
    pub tuning: Option<Tuning>,
    /// Networks with their data and training.
    pub students: Vec<Student>,
    /// Ways of training them. The first without terms is what the others are compared with.
    pub runs: Vec<Run>,
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

/// Choices that are tried, and judged by the loss on the validation systems; the test systems play no part.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Factors that are tried on the weights of all terms of a run.
    pub factors: Vec<f64>,
    /// Seed of the trials. Default: the first of `seeds`.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Settings to change in all trials, as with `--set`, for example fewer epochs.
    #[serde(default)]
    pub set: Vec<String>,
}

/// One network with its data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Student {
    /// Name in tables and of its folder.
    pub name: String,
    /// Training configuration without `[distill]`.
    pub config: PathBuf,
    /// Settings to change, as with `--set`.
    #[serde(default)]
    pub set: Vec<String>,
}

/// One way of training.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Name in tables and of its folder.
    pub name: String,
    /// Terms of the distillation, as in `[[distill.terms]]`; none for a student that is trained alone.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// Disturbed copies and terms on them, as in `[distill.augmentation]`.
    #[serde(default)]
    pub augmentation: Option<Augmentation>,
    /// Another teacher than the study's, as `distill.teacher`.
    #[serde(default)]
    pub teacher: Option<TeacherSource>,
    /// Precision of cached features. Default: the study's.
    #[serde(default)]
    pub feature_precision: Option<Precision>,
    /// Settings to change, as with `--set`.
    #[serde(default)]
    pub set: Vec<String>,
    /// Whether the weights are multiplied by the best of the factors of `[tuning]`. Default: no.
    #[serde(default)]
    pub tune: bool,
    /// Further factors to try for this run, beside those of `[tuning]`.
    #[serde(default)]
    pub factors: Vec<f64>,
    /// Lists of settings to choose from, each as `set`, in place of factors: the same care for a student alone as for the weights
    /// of a distillation.
    #[serde(default)]
    pub alternatives: Vec<Vec<String>>,
    /// Names of the students it is for. Default: all.
    #[serde(default)]
    pub students: Vec<String>,
}

impl Run {
    /// A student that is trained alone.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            terms: Vec::new(),
            augmentation: None,
            teacher: None,
            feature_precision: None,
            set: Vec::new(),
            tune: false,
            factors: Vec::new(),
            alternatives: Vec::new(),
            students: Vec::new(),
        }
    }

    /// Whether the student has no teacher.
    pub fn is_alone(&self) -> bool {
        self.terms.is_empty() && self.augmentation.is_none()
    }
}

/// Choice of one trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Factor on all weights of a run.
    Factor(f64),
    /// Number of the list among the alternatives of a run, with its settings.
    Settings(usize, Vec<String>),
}

impl Choice {
    /// Factor on the weights.
    pub fn factor(&self) -> Option<f64> {
        match self {
            Self::Factor(factor) => Some(*factor),
            Self::Settings(..) => None,
        }
    }

    /// Settings to change.
    pub fn settings(&self) -> &[String] {
        match self {
            Self::Factor(_) => &[],
            Self::Settings(_, settings) => settings,
        }
    }

    /// Name of the folder of its trial.
    pub(super) fn folder(&self) -> String {
        match self {
            Self::Factor(factor) => format!("trial-{factor}"),
            Self::Settings(number, _) => format!("alternative-{}", number + 1),
        }
    }
}

/// One training: a cell of the grid.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Number of the student.
    pub student: usize,
    /// Number of the run.
    pub run: usize,
    /// Seed of the training.
    pub seed: u64,
    /// Choice of a run that is tuned.
    pub choice: Option<Choice>,
    /// Whether this only tries the choice.
    pub is_trial: bool,
    /// Complete configuration.
    pub config: Config,
}

impl Study {
    /// Name of a training, which is its folder within that of the study.
    pub fn name(&self, cell: &Cell) -> String {
        let (student, run) = (&self.students[cell.student].name, &self.runs[cell.run].name);
        match &cell.choice {
            Some(choice) if cell.is_trial => format!("{student}/{run}/{}", choice.folder()),
            _ => format!("{student}/{run}/seed-{}", cell.seed),
        }
    }

    /// Whether the folder of a study holds a result of a training, of whatever settings it had then.
    pub fn has_result(&self, folder: &Path, cell: &Cell) -> bool {
        folder.join(self.name(cell)).join(RESULT).is_file()
    }

    /// Every path in the file, to be made relative to the working folder.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let teachers = self.runs.iter_mut().filter_map(|run| run.teacher.as_mut());
        let students = self.students.iter_mut().map(|student| &mut student.config);
        let own = self.teacher.paths_mut().iter_mut().chain(self.test.paths_mut());
        own.chain(students).chain(teachers.flat_map(TeacherSource::paths_mut))
    }

    /// Checks names, seeds and factors.
    ///
    /// # Errors
    /// Names the setting and what it may be.
    pub fn check(&self) -> Result<()> {
        for (key, is_empty) in [
            ("test", self.test.is_empty()),
            ("seeds", self.seeds.is_empty()),
            ("students", self.students.is_empty()),
            ("runs", self.runs.is_empty()),
        ] {
            if is_empty {
                return Err(Error::setting(key, "is empty; give at least one"));
            }
        }
        unique("students", self.students.iter().map(|s| s.name.as_str()))?;
        unique("runs", self.runs.iter().map(|r| r.name.as_str()))?;
        if self.seeds.iter().collect::<BTreeSet<_>>().len() < self.seeds.len() {
            return Err(Error::setting("seeds", "one of them comes twice; each run is done once for a seed"));
        }
        if self.tuning.as_ref().is_some_and(|tuning| tuning.factors.is_empty() || !all_positive(&tuning.factors)) {
            return Err(Error::setting("tuning.factors", "give at least one, each a positive number"));
        }
        self.runs.iter().try_for_each(|run| self.check_run(run))
    }

    fn check_run(&self, run: &Run) -> Result<()> {
        let wrong = |message: String| Err(Error::setting(format!("runs ({})", run.name), message));
        if !all_positive(&run.factors) || (!run.tune && !run.factors.is_empty()) {
            return wrong("factors must be positive numbers, and go with tune = true".to_owned());
        }
        if run.tune && (self.tuning.is_none() || run.is_alone()) {
            return wrong("tune needs terms, and a [tuning] section with factors".to_owned());
        }
        if !run.alternatives.is_empty() && (run.tune || self.tuning.is_none()) {
            return wrong("alternatives need a [tuning] section, and do not go with tune = true".to_owned());
        }
        for name in &run.students {
            if !self.students.iter().any(|s| s.name == *name) {
                let known: Vec<&str> = self.students.iter().map(|s| s.name.as_str()).collect();
                return wrong(format!("no student is called `{name}`; there are {}", known.join(", ")));
            }
        }
        Ok(())
    }

    /// Number of the run that others are compared with.
    pub fn baseline(&self) -> Option<usize> {
        self.runs.iter().position(Run::is_alone)
    }

    /// Choices that are tried for a run.
    fn choices(&self, run: &Run, tuning: &Tuning) -> Vec<Choice> {
        if run.tune {
            return tuning.factors.iter().chain(&run.factors).map(|&factor| Choice::Factor(factor)).collect();
        }
        let settings = |(number, settings): (usize, &Vec<String>)| Choice::Settings(number, settings.clone());
        run.alternatives.iter().enumerate().map(settings).collect()
    }

    /// Trainings that try choices.
    ///
    /// # Errors
    /// A configuration that cannot be read or is wrong.
    pub fn trials(&self, configure: &Configure<'_>) -> Result<Vec<Cell>> {
        let Some(tuning) = &self.tuning else { return Ok(Vec::new()) };
        let mut cells = Vec::new();
        for (s, r) in self.pairs() {
            for choice in self.choices(&self.runs[r], tuning) {
                let seed = tuning.seed.unwrap_or(self.seeds[0]);
                let config = self.config((s, r), seed, Some(&choice), &tuning.set, configure)?;
                cells.push(Cell { student: s, run: r, seed, choice: Some(choice), is_trial: true, config });
            }
        }
        Ok(cells)
    }

    /// All trainings that count, seed by seed, so that an early look at a study sees every run. `chosen` is the choice for a
    /// student and a run.
    ///
    /// # Errors
    /// A configuration that cannot be read or is wrong.
    pub fn cells(
        &self,
        configure: &Configure<'_>,
        chosen: &dyn Fn(usize, usize) -> Option<Choice>,
    ) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            for (student, run) in self.pairs() {
                let choice = chosen(student, run);
                let config = self.config((student, run), seed, choice.as_ref(), &[], configure)?;
                cells.push(Cell { student, run, seed, choice, is_trial: false, config });
            }
        }
        Ok(cells)
    }

    /// Students with the runs that are for them.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let is_for = |run: &Run, student: &Student| run.students.is_empty() || run.students.contains(&student.name);
        let runs = move |(s, student)| {
            let runs = self.runs.iter().enumerate().filter(move |(_, run)| is_for(run, student));
            runs.map(move |(r, _)| (s, r))
        };
        self.students.iter().enumerate().flat_map(runs)
    }

    /// Configuration of a student in a run, as `choice` has it, and with some settings changed last.
    fn config(
        &self,
        (s, r): (usize, usize),
        seed: u64,
        choice: Option<&Choice>,
        last: &[String],
        configure: &Configure<'_>,
    ) -> Result<Config> {
        let (student, run) = (&self.students[s], &self.runs[r]);
        let chosen = choice.map_or(&[][..], Choice::settings);
        let factor = choice.and_then(Choice::factor).unwrap_or(1.0);
        let set = [&student.set[..], &run.set, chosen, last].concat();
        let mut config = configure(&student.config, &set)?;
        config.seed = seed;
        let scaled = |terms: &[Term]| terms.iter().map(|term| term.scaled(factor)).collect();
        let augmentation = run.augmentation.as_ref();
        let teacher = run.teacher.clone().unwrap_or_else(|| self.teacher.clone());
        config.distill = (!run.is_alone()).then(|| DistillConfig {
            teacher,
            feature_precision: run.feature_precision.unwrap_or(self.feature_precision),
            augmentation: augmentation.map(|a| Augmentation { terms: scaled(&a.terms), ..a.clone() }),
            ..DistillConfig::new(PathBuf::new(), scaled(&run.terms))
        });
        config.validate().map_err(within(format!("student {}, run {}", student.name, run.name)))?;
        Ok(config)
    }
}

fn all_positive(factors: &[f64]) -> bool {
    factors.iter().all(|factor| factor.is_finite() && *factor > 0.0)
}

/// Checks that names are different and can become folders.
fn unique<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            let message = format!("the name `{name}` becomes a folder; use letters, digits and - _ . + only");
            return Err(Error::setting(key, message));
        }
        if !seen.insert(name) {
            return Err(Error::setting(key, format!("`{name}` comes twice; give each a name of its own")));
        }
    }
    Ok(())
}
