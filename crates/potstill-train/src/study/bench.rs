//! Running the trainings of a study: each once, several at a time, and again after an interruption.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use potstill_core::{Error, Part, Result};
use potstill_data::dataset::Survey;
use potstill_data::io::LabelKeys;

use super::plan::{Cell, Study};
use super::teacher::{self, Answers, StudyTeacher};
use super::test_sets::TestSet;
use super::within;
use crate::config::DataConfig;
use crate::host::Host;
use crate::run::{Data, Prelude, make_cache};

/// Folders of the trainings within that of the study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// A folder for each student, run and seed; runs of a student share one cache of the teacher's answers, and results of an
    /// earlier command are reused. The default.
    #[default]
    Grid,
    /// A folder for each run of one student with one seed; each has a cache of its own, and replaces earlier results.
    Runs,
}

/// Folder of a study, and the work that it may do at a time.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder of the study.
    pub out: PathBuf,
    /// Trainings at a time, which share the threads.
    pub jobs: usize,
    /// Part of the trainings that this process does; none for all.
    pub part: Option<Part>,
    /// Folders of the trainings.
    pub layout: Layout,
}

/// Everything that the trainings of a study need.
pub struct Bench<'a> {
    /// Study that is run.
    pub study: &'a Study,
    /// Folder and jobs.
    pub place: &'a Place,
    /// Teacher of the study.
    pub teacher: &'a StudyTeacher,
    /// Systems that models are judged on.
    pub tests: Vec<TestSet>,
    /// Answers of the teacher about each test set.
    pub answers: Vec<Answers>,
    pub(super) host: &'a dyn Host,
    pub(super) interrupt: &'a AtomicBool,
    pub(super) test_hash: String,
    students: Vec<StudentData>,
}

/// Data of a student.
struct StudentData {
    data: Data,
    hash: String,
    /// The data as its configuration names them.
    config: DataConfig,
}

impl<'a> Bench<'a> {
    /// Reads the data of all students and the test systems, and asks the teacher about these.
    ///
    /// # Errors
    /// Files that cannot be read, data that must not be trained on.
    pub fn new(
        study: &'a Study,
        place: &'a Place,
        teacher: &'a StudyTeacher,
        cells: &[Cell],
        (host, interrupt): (&'a dyn Host, &'a AtomicBool),
    ) -> Result<Self> {
        // Not after hours of other runs.
        let files = cells.iter().flat_map(|c| c.config.data.train.iter().chain(&c.config.data.synthetic));
        if let Some(missing) = files.chain(cells.iter().flat_map(|c| &c.config.data.validation)).find(|f| !f.exists()) {
            return Err(Error::file(missing, "does not exist, but a run of the study needs it; make it first"));
        }
        let tests = TestSet::read_all(&study.test, &test_keys(study, cells)?, host)?;
        let read = |s| StudentData::read(cells, s, host);
        let students = (0..study.students.len()).map(read).collect::<Result<Vec<_>>>()?;
        for (student, own) in study.students.iter().zip(&students) {
            let tests: Vec<_> = tests.iter().map(|set| &set.systems).collect();
            host.check(&own.config, &own.data, &tests).map_err(within(format!("student {}", student.name)))?;
        }
        let test_hash = tests.iter().map(|set| set.hash.as_str()).collect();
        let folder = (place.layout == Layout::Grid).then_some(&*place.out);
        let answers = teacher::answers(teacher, &tests, folder, host)?;
        Ok(Self { study, place, teacher, tests, answers, host, interrupt, test_hash, students })
    }

    /// Asks the teacher once for each student, for all of its runs.
    ///
    /// # Errors
    /// Elements that the teacher does not know, and what the file system says.
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
            let data = self.data(student);
            let task = self.host.task("asking the teacher", data.train.len());
            let tell = |event| match event {
                Prelude::Labelling(done, _) => task.set(done),
                Prelude::Waiting(holder) => task.say(&format!("waiting for the teacher cache: {holder}")),
                Prelude::Note(note) => task.say(&note),
                _ => {}
            };
            make_cache(self.host.device(), &first, data, &self.cache_folder(student), &tell)?;
        }
        Ok(())
    }

    /// Whether a cell trains on the systems of its student with the study's teacher.
    pub(super) fn is_usual(&self, cell: &Cell) -> bool {
        let run = &self.study.runs[cell.run];
        let same_precision = |precision| precision == self.study.feature_precision;
        run.teacher.is_none()
            && run.feature_precision.is_none_or(same_precision)
            && cell.config.data == self.students[cell.student].config
    }

    /// Whether a cell uses the cache that the runs of its student share.
    pub(super) fn shares_cache(&self, cell: &Cell) -> bool {
        self.place.layout == Layout::Grid && self.is_usual(cell)
    }

    pub(super) fn cache_folder(&self, student: usize) -> PathBuf {
        self.place.out.join("cache").join(&self.study.students[student].name)
    }

    pub(super) fn data(&self, student: usize) -> &Data {
        &self.students[student].data
    }

    pub(super) fn data_hash(&self, student: usize) -> &str {
        &self.students[student].hash
    }

    /// Whether the user wants to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Cells without a result yet.
    ///
    /// # Errors
    /// A file that is no result.
    pub fn open_cells<'c>(&self, cells: &'c [Cell]) -> Result<Vec<&'c Cell>> {
        let mut open = Vec::new();
        for cell in cells {
            if self.result(cell)?.is_none() {
                open.push(cell);
            }
        }
        Ok(open)
    }

    /// Runs all cells of this process's part, as many at a time as there are jobs.
    ///
    /// # Errors
    /// The first failure of a training, after which no other begins.
    pub fn run_all(&self, cells: &[Cell]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let work = |pool: Option<&rayon::ThreadPool>| {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(cell) = cells.get(number) else { return };
                if self.place.part.is_some_and(|part| !part.holds(number)) {
                    continue;
                }
                if self.is_interrupted() || failed.lock().is_ok_and(|f| f.is_some()) {
                    return;
                }
                let name = format!("{} of {}: {}", number + 1, cells.len(), self.name(cell));
                let result = match pool {
                    Some(pool) => pool.install(|| self.run_cell(cell, &name, true)),
                    None => self.run_cell(cell, &name, false),
                };
                let result = result.map_err(within(self.name(cell)));
                if let (Err(error), Ok(mut failed)) = (result, failed.lock()) {
                    failed.get_or_insert(error);
                }
            }
        };
        if self.place.jobs == 1 {
            work(None);
        } else {
            let pools = pools(self.place.jobs)?;
            std::thread::scope(|scope| {
                for pool in &pools {
                    scope.spawn(|| work(Some(pool)));
                }
            });
        }
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            Ok(None) => Ok(()),
            Err(_) => Err(Error::Other("a run ended without a result".to_owned())),
        }
    }

    /// Name of a cell, for people.
    pub fn name(&self, cell: &Cell) -> String {
        match self.place.layout {
            Layout::Runs => self.study.runs[cell.run].name.clone(),
            Layout::Grid => self.study.name(cell),
        }
    }

    /// Folder of a cell.
    pub fn folder(&self, cell: &Cell) -> PathBuf {
        self.place.out.join(self.name(cell))
    }

    /// Model file that a cell ships.
    pub fn model(&self, cell: &Cell) -> PathBuf {
        self.folder(cell).join(Path::new("model.safetensors"))
    }
}

impl StudentData {
    fn read(cells: &[Cell], student: usize, host: &dyn Host) -> Result<Self> {
        let cell = cells.iter().find(|cell| cell.student == student);
        let cell = cell.ok_or_else(|| Error::Other("a student without a run".to_owned()))?;
        let config = cell.config.data.clone();
        let data = host.data(&config)?;
        let hash = format!("{}{}", Survey::of(&data.train)?.content_hash, Survey::of(&data.validation)?.content_hash);
        Ok(Self { data, hash, config })
    }
}

/// Pools of threads for trainings that run at a time.
fn pools(jobs: usize) -> Result<Vec<rayon::ThreadPool>> {
    let threads = (rayon::current_num_threads() / jobs).max(1);
    let build = |_| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pools: Result<Vec<_>, _> = (0..jobs).map(build).collect();
    pools.map_err(|e| Error::Other(format!("cannot start threads: {e}")))
}

/// Names of the labels of the test files: as the study says, else as all students have it.
fn test_keys(study: &Study, cells: &[Cell]) -> Result<LabelKeys> {
    let key = |name: &str, told: &Option<String>, of: fn(&DataConfig) -> &Option<String>| {
        let mut keys = cells.iter().map(|cell| of(&cell.config.data));
        let first = keys.next().cloned().flatten();
        if told.is_none() && !keys.all(|key| *key == first) {
            let message = "students read labels of different names; say which the test files have";
            return Err(Error::setting(name, message));
        }
        Ok(told.clone().or(first))
    };
    Ok(LabelKeys {
        energy: key("energy_key", &study.energy_key, |data| &data.energy_key)?,
        forces: key("forces_key", &study.forces_key, |data| &data.forces_key)?,
        stress: None,
    })
}
