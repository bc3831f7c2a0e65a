//! The file of a study, and the trainings that it asks for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use potstill_core::{Error, Precision, Result};
use serde::Deserialize;

use super::within;
use crate::config::Config;
use crate::distill::{Augmentation, DistillConfig, TeacherSource, Term};

/// Reads the configuration of a student and changes settings, as with `--set`.
type Configure<'a> = dyn Fn(&Path, &[String]) -> Result<Config> + 'a;

/// A study as its file describes it; paths in the file are relative to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Model file of the teacher.
    pub teacher: PathBuf,
    /// Labelled systems that every model is judged on; nothing is trained or chosen on them.
    pub test: Vec<PathBuf>,
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

/// Factors on the weights that are tried, and judged by the loss on the validation systems; the test systems play no part.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Factors that are tried on the weights of all terms of a run.
    pub factors: Vec<f64>,
    /// Seed of the trials. Default: the first of `seeds`.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Settings to change in trials, as with `--set`, for example fewer epochs.
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
            students: Vec::new(),
        }
    }

    /// Whether the student has no teacher.
    pub fn is_alone(&self) -> bool {
        self.terms.is_empty() && self.augmentation.is_none()
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
    /// Factor on the weights, where they are tuned.
    pub factor: Option<f64>,
    /// Whether this only tries a factor.
    pub is_trial: bool,
    /// Complete configuration.
    pub config: Config,
}

impl Study {
    /// Every path in the file, to be made relative to the working folder.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let teachers = self.runs.iter_mut().filter_map(|run| run.teacher.as_mut());
        let students = self.students.iter_mut().map(|student| &mut student.config);
        let own = std::iter::once(&mut self.teacher).chain(&mut self.test);
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

    /// Trainings that try factors on the weights.
    ///
    /// # Errors
    /// A configuration that cannot be read or is wrong.
    pub fn trials(&self, configure: &Configure<'_>) -> Result<Vec<Cell>> {
        let Some(tuning) = &self.tuning else { return Ok(Vec::new()) };
        let mut cells = Vec::new();
        for (s, r) in self.pairs().filter(|&(_, r)| self.runs[r].tune) {
            for &factor in tuning.factors.iter().chain(&self.runs[r].factors) {
                let seed = tuning.seed.unwrap_or(self.seeds[0]);
                let config = self.config((s, r), seed, factor, &tuning.set, configure)?;
                cells.push(Cell { student: s, run: r, seed, factor: Some(factor), is_trial: true, config });
            }
        }
        Ok(cells)
    }

    /// All trainings that count, seed by seed, so that an early look at a study sees every run. `factor` is the one that was
    /// chosen for a student and a run.
    ///
    /// # Errors
    /// A configuration that cannot be read or is wrong.
    pub fn cells(&self, configure: &Configure<'_>, factor: &dyn Fn(usize, usize) -> Option<f64>) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            for (student, run) in self.pairs() {
                let factor = factor(student, run);
                let config = self.config((student, run), seed, factor.unwrap_or(1.0), &[], configure)?;
                cells.push(Cell { student, run, seed, factor, is_trial: false, config });
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

    /// Configuration of a student in a run, with its weights times `factor` and some settings changed last.
    fn config(
        &self,
        (s, r): (usize, usize),
        seed: u64,
        factor: f64,
        last: &[String],
        configure: &Configure<'_>,
    ) -> Result<Config> {
        let (student, run) = (&self.students[s], &self.runs[r]);
        let set = [&student.set[..], &run.set, last].concat();
        let mut config = configure(&student.config, &set)?;
        config.seed = seed;
        let scaled = |terms: &[Term]| terms.iter().map(|term| term.scaled(factor)).collect();
        let augmentation = run.augmentation.as_ref();
        let teacher = run.teacher.clone().unwrap_or_else(|| TeacherSource::One(self.teacher.clone()));
        config.distill = (!run.is_alone()).then(|| DistillConfig {
            teacher,
            feature_precision: run.feature_precision.unwrap_or(self.feature_precision),
            augmentation: augmentation.map(|a| Augmentation { terms: scaled(&a.terms), ..a.clone() }),
            ..DistillConfig::new(&self.teacher, scaled(&run.terms))
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
