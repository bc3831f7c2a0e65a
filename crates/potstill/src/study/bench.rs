//! Running the cells of a study: each once, several at a time, and again after an interruption.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::{DType, Device};
use potstill_core::files::{remove_stale_temporaries, write_atomically};
use potstill_core::{Precision, Prediction, System};
use potstill_data::dataset::{Survey, Systems};
use potstill_data::io::LabelKeys;
use potstill_nn::{Model, parameters};
use potstill_train::config::DataConfig;
use potstill_train::distill::TeacherFiles;
use potstill_train::folder::{RunFolder, Start};
use potstill_train::observer::{Ending, Silent};
use potstill_train::run::{Data, Prelude, make_cache, train};

use super::plan::{Cell, Study};
use super::table::CellResult;
use crate::args::{EngineArgs, StudyArgs};
use crate::audit;
use crate::commands::train::{load_data, run_config};
use crate::evaluation::measure;
use crate::load;
use crate::parity::Pairs;
use crate::potential;
use crate::progress::Progress;

/// Hash of the run that a folder is about.
const MARK: &str = "fingerprint";
/// Results of a cell, which go with its run.
const RESULTS: [&str; 3] = ["result.json", "parity.json", "similarity.json"];

/// What every cell needs.
pub struct Bench<'a> {
    /// What is studied.
    pub study: &'a Study,
    /// Where, and how many runs at a time.
    pub args: &'a StudyArgs,
    /// The teacher.
    pub teacher: &'a Model,
    /// Data of each student, and their hash.
    data: Vec<(Data, String)>,
    /// What the data of each student are called in its configuration.
    data_of: Vec<DataConfig>,
    /// Systems that models are judged on.
    pub test: Systems,
    test_hash: String,
    interrupt: &'a AtomicBool,
}

impl<'a> Bench<'a> {
    /// Reads the data of all students and the test systems.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn new(
        study: &'a Study,
        args: &'a StudyArgs,
        teacher: &'a Model,
        cells: &[Cell],
        interrupt: &'a AtomicBool,
    ) -> Result<Self> {
        // Not after hours of other runs.
        let files = cells.iter().flat_map(|c| c.config.data.train.iter().chain(&c.config.data.synthetic));
        if let Some(missing) = files.chain(cells.iter().flat_map(|c| &c.config.data.validation)).find(|f| !f.exists()) {
            bail!("{}: does not exist, but a run of the study needs it; make it first", missing.display());
        }
        let test = load::open(&study.test, &test_keys(study, cells)?, None, None)?;
        let data =
            study.students.iter().enumerate().map(|(s, _)| student_data(cells, s)).collect::<Result<Vec<_>>>()?;
        let first = |s| cells.iter().find(|cell| cell.student == s).map(|cell| cell.config.data.clone());
        let data_of: Vec<DataConfig> = (0..study.students.len()).map(|s| first(s).unwrap_or_default()).collect();
        for ((student, config), (data, _)) in study.students.iter().zip(&data_of).zip(&data) {
            audit::before_study(config, data, &test).with_context(|| format!("student {}", student.name))?;
        }
        Ok(Self { study, args, teacher, data, data_of, test_hash: Survey::of(&test)?.content_hash, test, interrupt })
    }

    /// Asks the teacher once for each student, for all of its runs.
    ///
    /// # Errors
    /// What the teacher does not know, and what the file system says.
    pub fn make_caches(&self, cells: &[Cell]) -> Result<()> {
        for student in 0..self.study.students.len() {
            let sharing: Vec<&Cell> = cells.iter().filter(|c| c.student == student && self.shares_cache(c)).collect();
            let all_terms = sharing.iter().filter_map(|c| c.config.distill.as_ref()).flat_map(|d| d.terms.clone());
            let mut first = match sharing.iter().find(|c| c.config.distill.is_some()) {
                Some(cell) => cell.config.clone(),
                None => continue,
            };
            if let Some(distill) = &mut first.distill {
                distill.terms = all_terms.collect();
            }
            let progress = Progress::new("asking the teacher", self.data[student].0.train.len() as u64);
            let tell = |event| match event {
                Prelude::Labelling(done, _) => progress.set(done as u64),
                Prelude::Waiting(what) => progress.say(&format!("waiting for the teacher cache: {what}")),
                Prelude::Note(note) => progress.say(&note),
                _ => {}
            };
            make_cache(&first, &self.data[student].0, &self.cache_folder(sharing[0]), &tell)?;
            progress.finish();
        }
        Ok(())
    }

    /// Whether a cell trains on the same systems as the others of its student.
    fn shares_cache(&self, cell: &Cell) -> bool {
        let run = &self.study.runs[cell.run];
        let is_usual = |precision| precision == self.study.feature_precision;
        run.teacher.is_none()
            && run.feature_precision.is_none_or(is_usual)
            && cell.config.data == self.data_of[cell.student]
    }

    fn cache_folder(&self, cell: &Cell) -> PathBuf {
        self.args.out.join("cache").join(&self.study.students[cell.student].name)
    }

    /// Whether the user wants to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Runs all cells, `--jobs` at a time.
    pub fn run_all(&self, cells: &[Cell]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
        let work = |pool: Option<&rayon::ThreadPool>| {
            while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.interrupt.load(Ordering::Relaxed) || failed.lock().is_ok_and(|f| f.is_some()) {
                    return;
                }
                let name = format!("{} of {}: {}", cells_before(cells, cell) + 1, cells.len(), self.name(cell));
                let result = match pool {
                    Some(pool) => pool.install(|| self.run_cell(cell, &name, true)),
                    None => self.run_cell(cell, &name, false),
                };
                if let (Err(error), Ok(mut failed)) = (result.with_context(|| self.name(cell)), failed.lock()) {
                    failed.get_or_insert(error);
                }
            }
        };
        let jobs = self.args.jobs;
        if jobs == 1 {
            work(None);
        } else {
            let threads = (rayon::current_num_threads() / jobs).max(1);
            let pools = (0..jobs)
                .map(|_| rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("cannot start threads"))
                .collect::<Result<Vec<_>>>()?;
            std::thread::scope(|scope| {
                for pool in &pools {
                    scope.spawn(|| work(Some(pool)));
                }
            });
        }
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            Ok(None) => Ok(()),
            Err(_) => Err(anyhow!("a run ended without a result")),
        }
    }

    /// Trains and judges one cell, unless that is done.
    fn run_cell(&self, cell: &Cell, name: &str, quiet: bool) -> Result<()> {
        let folder = self.folder(cell);
        if self.result(cell)?.is_some() {
            // What is found out about a finished run is written later, and may have been interrupted.
            let _ = remove_stale_temporaries(&folder);
            say!("{name}: done already");
            return Ok(());
        }
        let mut config = cell.config.clone();
        if let Some(distill) = &mut config.distill {
            // The shared cache is complete: cells that run side by side only read it.
            distill.cache = self.shares_cache(cell).then(|| self.cache_folder(cell));
        }
        let fingerprint = self.fingerprint(cell);
        let known = std::fs::read_to_string(folder.join(MARK)).ok();
        // A cell that was killed before its first checkpoint has left its mark alone.
        let goes_on = known.as_deref() == Some(&fingerprint) && folder.join("checkpoints/last.safetensors").exists();
        let start = if goes_on { Start::Resume } else { Start::Replace };
        let run = RunFolder::open(&folder, start)?.with_document(MARK, &fingerprint).replacing(&RESULTS);
        let data = match self.shares_cache(cell) {
            true => self.data[cell.student].0.clone(),
            false => load_data(&cell.config.data)?,
        };
        let summary = match quiet {
            true => train(&config, data, &run, self.interrupt, &mut Silent, &|_| {})?,
            false => run_config(&config, data, &run, self.interrupt, name)?,
        };
        if summary.ending == Ending::Interrupted {
            return Ok(());
        }
        let model = Model::load(&summary.model, &Device::flex(), DType::F32)?;
        let mut pairs = Pairs::default();
        // What tries weights must not see the test systems.
        let evaluation = match cell.is_trial {
            true => None,
            false => {
                let chosen = potential::open(&summary.model, &EngineArgs::default(), Precision::F32)?;
                let mut keep = |systems: &[Cow<'_, System>], prediction: &Prediction| pairs.add(systems, prediction);
                let name = format!("{name}: evaluating");
                Some(measure(chosen.potential.as_ref(), &self.test, None, &name, &mut keep)?)
            }
        };
        let result = CellResult {
            fingerprint: self.fingerprint(cell),
            validation_loss: model.header().training["validation_loss"].as_f64(),
            evaluation,
            n_parameters: n_parameters(&model),
            steps: summary.steps,
            seconds: summary.seconds,
        };
        if !cell.is_trial {
            write_atomically(&folder.join("parity.json"), |writer| Ok(serde_json::to_writer(writer, &pairs)?))?;
        }
        let path = folder.join("result.json");
        write_atomically(&path, |writer| Ok(serde_json::to_writer_pretty(writer, &result)?))?;
        if quiet {
            say!("{name}: {} steps in {:.0} s", result.steps, result.seconds);
        }
        Ok(())
    }

    /// What a cell is called, and its folder within that of the study.
    pub fn name(&self, cell: &Cell) -> String {
        let (student, run) = (&self.study.students[cell.student].name, &self.study.runs[cell.run].name);
        match cell.factor {
            Some(factor) if cell.is_trial => format!("{student}/{run}/trial-{factor}"),
            _ => format!("{student}/{run}/seed-{}", cell.seed),
        }
    }

    /// Where the files of a cell are.
    pub fn folder(&self, cell: &Cell) -> PathBuf {
        self.args.out.join(self.name(cell))
    }

    /// Hash of everything that the result depends on.
    pub fn fingerprint(&self, cell: &Cell) -> String {
        let mut config = cell.config.clone();
        // Where files lie does not matter; those of the student count by what is in them.
        if self.shares_cache(cell) {
            config.data.train.clear();
            config.data.validation.clear();
        }
        if let (Some(distill), None) = (&mut config.distill, &self.study.runs[cell.run].teacher) {
            distill.teacher = TeacherFiles::One(PathBuf::new());
        }
        let text = serde_json::to_string(&config).unwrap_or_default();
        let teacher = if config.distill.is_some() { self.teacher.hash() } else { "" };
        let all =
            format!("{}{text}{}{}{teacher}", env!("CARGO_PKG_VERSION"), self.data[cell.student].1, self.test_hash);
        potstill_data::dataset::text_hash(&all)
    }

    /// What an earlier command found, if it is about the same run.
    pub fn result(&self, cell: &Cell) -> Result<Option<CellResult>> {
        let path = self.folder(cell).join("result.json");
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        let result: CellResult = serde_json::from_str(&text)
            .map_err(|e| anyhow!("{}: {e}; delete this file to judge the run again", path.display()))?;
        Ok((result.fingerprint == self.fingerprint(cell)).then_some(result))
    }
}

impl Bench<'_> {
    /// The factor whose trial has the lowest loss on the validation systems, for a student and a run.
    ///
    /// # Errors
    /// Results that cannot be read, and trials without validation systems.
    pub fn chosen(&self, trials: &[Cell], student: usize, run: usize) -> Result<Option<f64>> {
        let mut best: Option<(f64, f64)> = None;
        for trial in trials.iter().filter(|c| c.student == student && c.run == run) {
            let Some(result) = self.result(trial)? else { continue };
            let name = || format!("{}: tuning needs validation systems (data.validation)", self.name(trial));
            let loss = result.validation_loss.with_context(name)?;
            if let Some(factor) = trial.factor.filter(|_| best.is_none_or(|(least, _)| loss < least)) {
                best = Some((loss, factor));
            }
        }
        Ok(best.map(|(_, factor)| factor))
    }
}

/// Names of the labels of the test files: as the study says, else as all students have it.
fn test_keys(study: &Study, cells: &[Cell]) -> Result<LabelKeys> {
    let key = |name: &str, told: &Option<String>, of: fn(&DataConfig) -> &Option<String>| {
        let mut keys = cells.iter().map(|cell| of(&cell.config.data));
        let first = keys.next().cloned().flatten();
        if told.is_none() && !keys.all(|key| *key == first) {
            bail!("{name}: students read labels of different names; say which the test files have");
        }
        Ok(told.clone().or(first))
    };
    Ok(LabelKeys {
        energy: key("energy_key", &study.energy_key, |data| &data.energy_key)?,
        forces: key("forces_key", &study.forces_key, |data| &data.forces_key)?,
        stress: None,
    })
}

fn student_data(cells: &[Cell], student: usize) -> Result<(Data, String)> {
    let cell = cells.iter().find(|cell| cell.student == student).context("a student without a run")?;
    let data = load_data(&cell.config.data)?;
    let hash = format!("{}{}", Survey::of(&data.train)?.content_hash, Survey::of(&data.validation)?.content_hash);
    Ok((data, hash))
}

fn cells_before(cells: &[Cell], cell: &Cell) -> usize {
    cells.iter().position(|c| std::ptr::eq(c, cell)).unwrap_or(0)
}

/// Number of parameters that are shipped.
pub fn n_parameters(model: &Model) -> usize {
    parameters::describe(model.network()).iter().map(|p| p.len()).sum()
}
