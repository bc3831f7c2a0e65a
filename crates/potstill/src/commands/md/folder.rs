//! Folder of a run of dynamics.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use potstill_core::Error;
use potstill_core::files::write_atomically;
use potstill_data::io::Overwrite;
use potstill_simulate::Snapshot;
use serde::{Deserialize, Serialize};

/// Restart file of a run.
const RESTART: &str = "restart.json";
/// Version of the restart file.
const VERSION: u32 = 1;

/// Folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// Path of the folder.
    pub path: PathBuf,
    /// Whether trajectories are compressed.
    pub is_compressed: bool,
}

/// Everything that a run needs to go on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Version of this format.
    pub version: u32,
    /// Hash of the model, or of the command of the program.
    pub potential: String,
    /// Bytes of each trajectory at this step.
    pub trajectories: Vec<u64>,
    /// Bytes of the log at this step.
    pub log: u64,
    /// State of the dynamics.
    pub snapshot: Snapshot,
}

impl Restart {
    /// Restart of this version.
    pub fn new(potential: &str, trajectories: Vec<u64>, log: u64, snapshot: Snapshot) -> Self {
        Self { version: VERSION, potential: potential.to_owned(), trajectories, log, snapshot }
    }
}

impl RunFolder {
    /// Path of the log.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// Path of the trajectory of one of `n` replicas.
    pub fn trajectory(&self, replica: usize, n: usize) -> PathBuf {
        let number = if n == 1 { String::new() } else { format!("-{replica}") };
        let ending = if self.is_compressed { ".zst" } else { "" };
        self.path.join(format!("trajectory{number}.extxyz{ending}"))
    }

    fn restart_path(&self) -> PathBuf {
        self.path.join(RESTART)
    }

    /// Reads the restart file; none where no run has begun.
    ///
    /// # Errors
    /// One that cannot be read or is of a newer version.
    pub fn restart(&self) -> Result<Option<Restart>> {
        let path = self.restart_path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, "cannot be read", error).into()),
        };
        let restart: Restart = serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: is no restart file; start again without --resume", path.display()))?;
        match restart.version {
            VERSION => Ok(Some(restart)),
            version => bail!("{}: has format version {version}; this program reads {VERSION}", path.display()),
        }
    }

    /// Writes the restart file in place of the last one.
    ///
    /// # Errors
    /// What the file system says; the last one is then untouched.
    pub fn write_restart(&self, restart: &Restart) -> Result<()> {
        Ok(write_atomically(&self.restart_path(), |writer| Ok(serde_json::to_writer(writer, restart)?))?)
    }

    /// Makes room for a new run: a run in the folder is replaced only if it is asked for.
    ///
    /// # Errors
    /// A run that is there already; what the file system says.
    pub fn clear(&self, existing: Overwrite) -> Result<()> {
        let found: Vec<PathBuf> = std::fs::read_dir(&self.path)
            .with_context(|| format!("{}: cannot be read", self.path.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_of_a_run(path))
            .collect();
        if !found.is_empty() && existing != Overwrite::Always {
            bail!(
                "{}: holds a run already; go on with --resume, replace it with --overwrite, or give another folder",
                self.path.display()
            );
        }
        for path in found {
            std::fs::remove_file(&path).with_context(|| format!("{}: cannot be removed", path.display()))?;
        }
        Ok(())
    }
}

/// Whether a file is one that a run writes.
fn is_of_a_run(path: &std::path::Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name == RESTART || name == "log.jsonl" || (name.starts_with("trajectory") && name.contains(".extxyz"))
}
