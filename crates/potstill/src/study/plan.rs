//! What a study runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use potstill_core::Precision;
use potstill_train::augment::Augmentation;
use potstill_train::config::Config;
use potstill_train::distill::{DistillConfig, TeacherFiles, Term};
use serde::Deserialize;

use crate::config_file;
use crate::load::beside;

/// A study as its file says it; paths are relative to that file.
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
    /// How weights are chosen for the runs that ask for it.
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

/// Weights are tried, and judged by the loss on the validation systems; the test systems play no part.
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
    pub teacher: Option<TeacherFiles>,
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
    /// Seed.
    pub seed: u64,
    /// Factor on the weights, where they are tuned.
    pub factor: Option<f64>,
    /// Whether this only tries a factor.
    pub is_trial: bool,
    /// Complete configuration.
    pub config: Config,
}

impl Study {
    /// Reads and checks a study.
    ///
    /// # Errors
    /// One line: file, what is wrong, what to do.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot open", path.display()))?;
        let mut study: Self = config_file::document::parse(path, &text, &[])?;
        study.teacher = beside(path, &study.teacher);
        study.test.iter_mut().for_each(|file| *file = beside(path, file));
        study.students.iter_mut().for_each(|student| student.config = beside(path, &student.config));
        let teachers = study.runs.iter_mut().filter_map(|run| run.teacher.as_mut());
        teachers.flat_map(TeacherFiles::paths_mut).for_each(|file| *file = beside(path, file));
        study.check().with_context(|| path.display().to_string())?;
        Ok(study)
    }

    fn check(&self) -> Result<()> {
        for (key, is_empty) in [
            ("test", self.test.is_empty()),
            ("seeds", self.seeds.is_empty()),
            ("students", self.students.is_empty()),
            ("runs", self.runs.is_empty()),
        ] {
            if is_empty {
                bail!("{key}: is empty; give at least one");
            }
        }
        unique("students", self.students.iter().map(|s| s.name.as_str()))?;
        unique("runs", self.runs.iter().map(|r| r.name.as_str()))?;
        if self.seeds.iter().collect::<BTreeSet<_>>().len() < self.seeds.len() {
            bail!("seeds: one of them comes twice; each run is done once for a seed");
        }
        if let Some(tuning) = &self.tuning
            && (tuning.factors.is_empty() || tuning.factors.iter().any(|f| !(f.is_finite() && *f > 0.0)))
        {
            bail!("tuning.factors: give at least one, each a positive number");
        }
        for run in &self.runs {
            if run.factors.iter().any(|f| !(f.is_finite() && *f > 0.0)) || (!run.tune && !run.factors.is_empty()) {
                bail!("runs ({}): factors must be positive numbers, and go with tune = true", run.name);
            }
            if run.tune && (self.tuning.is_none() || run.is_alone()) {
                bail!("runs ({}): tune needs terms, and a [tuning] section with factors", run.name);
            }
            for name in &run.students {
                if !self.students.iter().any(|s| s.name == *name) {
                    let known: Vec<&str> = self.students.iter().map(|s| s.name.as_str()).collect();
                    bail!("runs ({}): no student is called `{name}`; there are {}", run.name, known.join(", "));
                }
            }
        }
        Ok(())
    }

    /// Number of the run that others are compared with.
    pub fn baseline(&self) -> Option<usize> {
        self.runs.iter().position(Run::is_alone)
    }

    /// The trainings that try weights.
    ///
    /// # Errors
    /// A configuration that cannot be read or is wrong.
    pub fn trials(&self) -> Result<Vec<Cell>> {
        let Some(tuning) = &self.tuning else { return Ok(Vec::new()) };
        let mut cells = Vec::new();
        for (s, r) in self.pairs().filter(|&(_, r)| self.runs[r].tune) {
            for &factor in tuning.factors.iter().chain(&self.runs[r].factors) {
                let seed = tuning.seed.unwrap_or(self.seeds[0]);
                cells.push(self.cell((s, r), seed, Some(factor), Some(&tuning.set))?);
            }
        }
        Ok(cells)
    }

    /// All trainings that count, seed by seed, so that an early look at a study sees every run. `factor` is the one that was
    /// chosen for a student and a run.
    ///
    /// # Errors
    /// A configuration that cannot be read or is wrong.
    pub fn cells(&self, factor: &dyn Fn(usize, usize) -> Option<f64>) -> Result<Vec<Cell>> {
        let seeds = self.seeds.iter();
        seeds.flat_map(|&seed| self.pairs().map(move |(s, r)| self.cell((s, r), seed, factor(s, r), None))).collect()
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

    /// `trial` holds the settings to change when the cell only tries a factor.
    fn cell(&self, (s, r): (usize, usize), seed: u64, factor: Option<f64>, trial: Option<&[String]>) -> Result<Cell> {
        let (student, run) = (&self.students[s], &self.runs[r]);
        let set = [&student.set[..], &run.set, trial.unwrap_or_default()].concat();
        let mut config = config_file::read(&student.config, &set)?;
        config.seed = seed;
        let scaled = |terms: &[Term]| terms.iter().map(|term| term.scaled(factor.unwrap_or(1.0))).collect();
        let augmentation = run.augmentation.as_ref();
        let teacher = run.teacher.clone().unwrap_or_else(|| TeacherFiles::One(self.teacher.clone()));
        config.distill = (!run.is_alone()).then(|| DistillConfig {
            teacher,
            feature_precision: run.feature_precision.unwrap_or(self.feature_precision),
            augmentation: augmentation.map(|a| Augmentation { terms: scaled(&a.terms), ..a.clone() }),
            ..DistillConfig::new(&self.teacher, scaled(&run.terms))
        });
        config.validate().with_context(|| format!("student {}, run {}", student.name, run.name))?;
        Ok(Cell { student: s, run: r, seed, factor, is_trial: trial.is_some(), config })
    }
}

/// Names become folders.
fn unique<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            bail!("{key}: the name `{name}` becomes a folder; use letters, digits and - _ . + only");
        }
        if !seen.insert(name) {
            bail!("{key}: `{name}` comes twice; give each a name of its own");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "teacher = 't'\ntest = ['a.xyz']\n[[students]]\nname = 'small'\nconfig = 's.toml'\n\
                        [[runs]]\nname = 'alone'\n[[runs]]\nname = 'n2n'\nterms = [{ strategy = 'n2n', weight = 'auto' }]\n";

    fn read(text: &str) -> Result<Study> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("study.toml");
        std::fs::write(&path, text)?;
        Study::read(&path)
    }

    #[test]
    fn a_study_is_read() {
        let study = read(GOOD).unwrap();
        assert_eq!((study.seeds.clone(), study.baseline()), (vec![0], Some(0)));
        assert!(study.test[0].ends_with("a.xyz") && study.test[0] != Path::new("a.xyz"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, wanted) in [
            ("name = 'n2n'", "name = 'alone'", "`alone` comes twice"),
            ("name = 'n2n'", "name = '../x'", "becomes a folder"),
            ("test = ['a.xyz']", "test = []", "test: is empty"),
            (
                "test = ['a.xyz']",
                "test = ['a.xyz']\nseed = 3",
                "study.toml:3: seed: unknown key; did you mean `seeds`?",
            ),
            ("test = ['a.xyz']", "test = ['a.xyz']\nseeds = [1, 1]", "comes twice"),
            ("name = 'n2n'", "name = 'n2n'\nstudents = ['big']", "no student is called `big`; there are small"),
            (
                "strategy = 'n2n'",
                "strategy = 'magic'",
                "study.toml:10: runs.1.terms.0.strategy: is \"magic\"; it must be `vanilla`",
            ),
            ("name = 'n2n'", "name = 'n2n'\ntune = true", "tune needs terms, and a [tuning] section"),
            ("[[students]]", "[tuning]\nfactors = [0.0]\n[[students]]", "tuning.factors"),
            ("name = 'n2n'", "name = 'n2n'\nfactors = [3.0]", "go with tune = true"),
        ] {
            let error = format!("{:#}", read(&GOOD.replace(from, to)).unwrap_err());
            assert!(error.contains(wanted) && !error.contains('\n'), "{error}");
        }
    }
}
