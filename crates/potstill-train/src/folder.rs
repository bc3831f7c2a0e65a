//! Folder of a run: who may write into it, and what becomes of an old run that is there.
//!
//! The folder is locked while a run uses it. Nothing in it changes before the run *enters* it: a run that is refused, or
//! whose data cannot be read, leaves everything as it was. Where an old run is replaced, its files are set aside when the
//! new one has made its first step, and removed when the state of the new one is on disk; a run that is killed in between
//! finds them put back by the next one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use potstill_core::files::lock::LOCK_FILE;
use potstill_core::files::{FolderLock, remove_stale_temporaries, write_atomically};
use potstill_core::ranks::Ranks;
use potstill_core::{Error, Result};

use crate::journal::{EVENTS, METRICS};

/// Expanded configuration of a run.
pub const CONFIG: &str = "config.toml";
/// Version, machine and number of threads of a run.
pub const ENVIRONMENT: &str = "environment.json";
const MODEL: &str = "model.safetensors";
const CHECKPOINTS: &str = "checkpoints";
const TEACHER_CACHE: &str = "teacher-cache";
/// Files that a run writes into its folder, and the folder of its checkpoints.
const RUN_FILES: [&str; 6] = [CONFIG, ENVIRONMENT, METRICS, EVENTS, MODEL, CHECKPOINTS];
/// Folder of an old run's files, until the new one has a state on disk.
const REPLACED: &str = ".potstill-replaced";

/// Treatment of an earlier run in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Starts in an empty folder, and refuses another one.
    New,
    /// Goes on from the last checkpoint; starts where there is none yet.
    Resume,
    /// Starts from the beginning and replaces an old run with its first step.
    Replace,
}

/// Folder of a run, locked until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    start: Start,
    is_entered: AtomicBool,
    documents: Vec<(String, String)>,
    also_replaced: Vec<String>,
    /// Lock of the process that writes; none for others of the same run.
    lock: Option<FolderLock>,
}

impl RunFolder {
    /// Locks a folder, which is created when it is missing, and finds out what a run does with what it holds.
    ///
    /// # Errors
    /// A folder that another process uses, or that holds what `start` does not allow; what the file system says.
    pub fn open(path: &Path, start: Start) -> Result<Self> {
        let lock = FolderLock::acquire(path, "a training run")?;
        put_back(path)?;
        let checkpoints = path.join(CHECKPOINTS);
        if checkpoints.is_dir() {
            remove_stale_temporaries(&checkpoints)?;
        }
        let start = settle(path, start)?;
        Ok(Self {
            path: path.to_owned(),
            start,
            is_entered: AtomicBool::new(false),
            documents: Vec::new(),
            also_replaced: Vec::new(),
            lock: Some(lock),
        })
    }

    /// Folder of a run of several processes: rank 0 opens it, the others read what is there and write nothing.
    ///
    /// # Errors
    /// As [`RunFolder::open`], at rank 0; the others then wait in vain, and are to be ended.
    pub fn open_among(ranks: &dyn Ranks, path: &Path, start: Start) -> Result<Self> {
        const STARTS: [Start; 3] = [Start::New, Start::Resume, Start::Replace];
        let mut code = [0];
        let opened = if ranks.leads() { Some(Self::open(path, start)?) } else { None };
        if let Some(opened) = &opened {
            code[0] = STARTS.iter().position(|&start| start == opened.start).unwrap_or(0) as u8;
        }
        ranks.broadcast(&mut code);
        Ok(opened.unwrap_or_else(|| Self {
            path: path.to_owned(),
            start: STARTS[usize::from(code[0]) % STARTS.len()],
            is_entered: AtomicBool::new(false),
            documents: Vec::new(),
            also_replaced: Vec::new(),
            lock: None,
        }))
    }

    /// Whether this process writes what the run makes.
    pub fn writes(&self) -> bool {
        self.lock.is_some()
    }

    /// Adds a file that is written when the run enters its folder, and replaced with an old run.
    #[must_use]
    pub fn with_document(mut self, name: &str, text: &str) -> Self {
        self.documents.push((name.to_owned(), text.to_owned()));
        self.replacing(&[name])
    }

    /// Names further files that are of an old run and go with it.
    #[must_use]
    pub fn replacing(mut self, names: &[&str]) -> Self {
        self.also_replaced.extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    /// Folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Training state of the last checkpoint.
    pub fn state(&self) -> PathBuf {
        state(&self.path)
    }

    /// Model with the best validation so far.
    pub fn best(&self) -> PathBuf {
        self.path.join(CHECKPOINTS).join("best.safetensors")
    }

    /// Shipped model.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Cache of teacher targets, where the configuration names no other.
    pub fn teacher_cache(&self) -> PathBuf {
        self.path.join(TEACHER_CACHE)
    }

    /// Whether the run goes on from a checkpoint.
    pub fn resumes(&self) -> bool {
        self.start == Start::Resume
    }

    /// Whether the run replaces an old one.
    pub fn replaces(&self) -> bool {
        self.start == Start::Replace
    }

    /// Whether the run has begun to write.
    pub fn is_entered(&self) -> bool {
        self.is_entered.load(Ordering::Relaxed)
    }

    /// Sets an old run aside, where it is replaced, and writes the documents of this one.
    ///
    /// # Errors
    /// Errors of the file system; an old run is then where it was.
    pub fn enter(&self, documents: &[(&str, String)]) -> Result<Option<Replaced>> {
        if !self.writes() {
            self.is_entered.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        let replaced = match self.replaces() {
            true => Some(self.set_aside()?),
            false => None,
        };
        let checkpoints = self.path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints).map_err(|e| Error::io(&checkpoints, "cannot create the folder", e))?;
        if !self.resumes() {
            // Weights of a run that was killed before its first checkpoint.
            remove(&self.best())?;
        }
        let own = self.documents.iter().map(|(name, text)| (name.as_str(), text));
        for (name, text) in own.chain(documents.iter().map(|(name, text)| (*name, text))) {
            write_atomically(&self.path.join(name), |writer| writer.write_all(text.as_bytes()))?;
        }
        self.is_entered.store(true, Ordering::Relaxed);
        Ok(replaced)
    }

    fn set_aside(&self) -> Result<Replaced> {
        let aside = self.path.join(REPLACED);
        std::fs::create_dir_all(&aside).map_err(|e| Error::io(&aside, "cannot create the folder", e))?;
        let replaced = Replaced { folder: self.path.clone(), is_done: false };
        for name in RUN_FILES.iter().copied().chain(self.also_replaced.iter().map(String::as_str)) {
            let path = self.path.join(name);
            match std::fs::rename(&path, aside.join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, "cannot set aside", e));
                }
                _ => {}
            }
        }
        Ok(replaced)
    }
}

/// Files of an old run, set aside. Dropped without [`Replaced::remove`], they are put back.
#[derive(Debug)]
pub struct Replaced {
    folder: PathBuf,
    is_done: bool,
}

impl Replaced {
    /// Removes the old run. What cannot be removed is left to the next run.
    pub fn remove(mut self) {
        self.is_done = true;
        let _ = std::fs::remove_dir_all(self.folder.join(REPLACED));
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = put_back(&self.folder);
        }
    }
}

/// Undoes an unfinished replacement, or finishes it where the new run has a state on disk.
fn put_back(folder: &Path) -> Result<()> {
    let aside = folder.join(REPLACED);
    let Ok(entries) = std::fs::read_dir(&aside) else { return Ok(()) };
    if !state(folder).exists() {
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            // The new run's documents; its checkpoints are an empty folder, or weights that no state goes with.
            remove(&path)?;
            std::fs::rename(entry.path(), &path).map_err(|e| Error::io(&path, "cannot put back the old run", e))?;
        }
    }
    remove(&aside)
}

/// Removes a file or folder, where it is.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, "cannot remove", e)),
        _ => Ok(()),
    }
}

fn state(folder: &Path) -> PathBuf {
    folder.join(CHECKPOINTS).join("last.safetensors")
}

/// Action of a run in this folder.
fn settle(folder: &Path, start: Start) -> Result<Start> {
    match start {
        Start::Resume if state(folder).exists() => Ok(Start::Resume),
        Start::Replace if RUN_FILES.iter().any(|name| folder.join(name).exists()) => Ok(Start::Replace),
        Start::Replace => Ok(Start::New),
        // A run that was killed before its first checkpoint has written all but a model.
        Start::Resume => match entries(folder).into_iter().find(|name| name == MODEL || !is_of_run(name)) {
            None => Ok(Start::New),
            Some(other) => Err(Error::file(
                folder,
                format!(
                    "holds no checkpoint to resume, but {other}; give --overwrite to start again, or another --out"
                ),
            )),
        },
        Start::New => match entries(folder).iter().any(|name| !is_harmless(folder, name)) {
            false => Ok(Start::New),
            true => Err(Error::file(
                folder,
                "is not empty; give --resume to go on, --overwrite to start again, or another --out",
            )),
        },
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != LOCK_FILE && !name.starts_with(".potstill-"));
    names.sort_unstable();
    names
}

fn is_of_run(name: &str) -> bool {
    RUN_FILES.contains(&name) || name == TEACHER_CACHE
}

/// Whether a run that never made a step may have left this.
fn is_harmless(folder: &Path, name: &str) -> bool {
    match name {
        CONFIG | ENVIRONMENT | TEACHER_CACHE => true,
        CHECKPOINTS => entries(&folder.join(name)).is_empty(),
        _ => false,
    }
}
