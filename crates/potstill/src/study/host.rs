//! The terminal as the host of a study.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use potstill_core::{Potential, Precision, Result};
use potstill_data::dataset::Systems;
use potstill_data::io::LabelKeys;
use potstill_train::config::DataConfig;
use potstill_train::host::{CellEvent, Host, Task};
use potstill_train::observer::Observer;
use potstill_train::run::{Data, Prelude};

use crate::args::EngineArgs;
use crate::load::load_data;
use crate::plain;
use crate::progress::Progress;
use crate::watcher::{Watcher, tell};
use crate::{audit, load, potential};

/// Checks of the data before a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Units, and test systems that are training systems.
    All,
    /// None: the data are those of the program itself.
    None,
}

/// Progress on standard error, and models run by what runs them best.
pub struct Terminal {
    /// Checks of the data.
    pub checks: Checks,
    /// Device that trains.
    pub device: Device,
}

impl Host for Terminal {
    fn device(&self) -> &Device {
        &self.device
    }

    fn data(&self, config: &DataConfig) -> Result<Data> {
        load_data(config).map_err(plain)
    }

    fn systems(&self, files: &[PathBuf], keys: &LabelKeys) -> Result<Systems> {
        load::open(files, keys, None, None).map_err(plain)
    }

    fn check(&self, config: &DataConfig, data: &Data, tests: &[&Systems]) -> Result<()> {
        match self.checks {
            Checks::All => audit::before_study(config, data, tests).map_err(plain),
            Checks::None => Ok(()),
        }
    }

    fn potential(&self, model: &Path) -> Result<Box<dyn Potential>> {
        let chosen = potential::open(model, &EngineArgs::default(), Precision::F32).map_err(plain)?;
        Ok(chosen.potential)
    }

    fn observer(&self, name: &str) -> Box<dyn Observer + '_> {
        Box::new(Watcher::new(name))
    }

    fn prelude(&self, event: Prelude) {
        tell(event);
    }

    fn task(&self, name: &str, total: usize) -> Box<dyn Task + '_> {
        Box::new(Shown(Progress::new(name, total as u64)))
    }

    fn cell(&self, name: &str, event: CellEvent) {
        match event {
            CellEvent::DoneAlready => say!("{name}: done already"),
            CellEvent::Done { steps, seconds } => say!("{name}: {steps} steps in {seconds:.0} s"),
        }
    }
}

/// Progress of a task that ends when it is dropped.
struct Shown(Progress);

impl Task for Shown {
    fn set(&self, done: usize) {
        self.0.set(done as u64);
    }

    fn say(&self, line: &str) {
        self.0.say(line);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish();
    }
}
