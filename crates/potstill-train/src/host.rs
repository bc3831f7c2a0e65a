//! Services that studies, plans and rounds need from the program that runs them.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use potstill_core::{Potential, Result};
use potstill_data::dataset::Systems;
use potstill_data::io::LabelKeys;

use crate::config::DataConfig;
use crate::observer::Observer;
use crate::run::{Data, Prelude};

/// Program that runs studies, plans and rounds.
pub trait Host: Sync {
    /// Device that trains.
    fn device(&self) -> &Device;

    /// Reads the data of a student.
    ///
    /// # Errors
    /// Files that cannot be read.
    fn data(&self, config: &DataConfig) -> Result<Data>;

    /// Reads systems of some files, one file after the other.
    ///
    /// # Errors
    /// Files that cannot be read.
    fn systems(&self, files: &[PathBuf], keys: &LabelKeys) -> Result<Systems>;

    /// Checks the data of a student against the test systems.
    ///
    /// # Errors
    /// Data that must not be trained on.
    fn check(&self, config: &DataConfig, data: &Data, tests: &[&Systems]) -> Result<()>;

    /// Opens a model for evaluation.
    ///
    /// # Errors
    /// A file that is no model.
    fn potential(&self, model: &Path) -> Result<Box<dyn Potential>>;

    /// Observer of a training that runs alone.
    fn observer(&self, name: &str) -> Box<dyn Observer + '_>;

    /// Shows an event before the first step of a training that runs alone.
    fn prelude(&self, event: Prelude);

    /// Shows that a task of `total` items begins.
    fn task(&self, name: &str, total: usize) -> Box<dyn Task + '_>;

    /// Shows an event of a training.
    fn cell(&self, name: &str, event: CellEvent);
}

/// Progress of a task, which ends when it is dropped.
pub trait Task: Sync {
    /// Shows how many items are done.
    fn set(&self, done: usize);
    /// Shows a line of text.
    fn say(&self, line: &str);
}

/// Event of one of the trainings of a study.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellEvent {
    /// The training was done by an earlier command.
    DoneAlready,
    /// The training, one of several that ran at a time, is done.
    Done {
        /// Optimisation steps.
        steps: u64,
        /// Seconds of training.
        seconds: f64,
    },
}
