//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use potstill_core::Part;
use potstill_data::io::Overwrite;
use potstill_data::program::ProgramSettings;

use crate::device::DeviceArgs;
use crate::limits::{positive, seed, whole};

/// Names of labels in the files.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArgs {
    /// Key of energies, if unusual.
    ///
    /// The usual names are tried in turn, and the one that is taken is said on standard error.
    #[arg(long, value_name = "KEY")]
    pub energy_key: Option<String>,
    /// Key of forces, if unusual.
    #[arg(long, value_name = "KEY")]
    pub forces_key: Option<String>,
    /// Key of stress or virial, if unusual.
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    pub stress_key: Option<String>,
}

/// What may happen to files that exist already.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ExistingArgs {
    /// Replace files of any kind that exist.
    ///
    /// Inputs and read-only files stay. Default: only files of the same kind are replaced.
    #[arg(long, hide_short_help = true)]
    pub overwrite: bool,
    /// Replace no file that exists.
    #[arg(long, conflicts_with = "overwrite", hide_short_help = true)]
    pub no_clobber: bool,
}

impl ExistingArgs {
    /// Policy for existing files.
    pub fn policy(self) -> Overwrite {
        match (self.overwrite, self.no_clobber) {
            (true, _) => Overwrite::Always,
            (false, true) => Overwrite::Never,
            (false, false) => Overwrite::SameKind,
        }
    }
}

/// Programs that run a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// Kernels for SchNet and PaiNN.
    Fast,
    /// The tensor framework, for every network.
    Network,
}

/// Where filters of edges come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilterKind {
    /// A table of the filter network.
    Table,
    /// The filter network.
    Exact,
}

/// How the fast engine computes filters.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FilterArgs {
    /// Filters of the fast engine.
    ///
    /// Default: from a table for f32, exact for f64.
    #[arg(long, value_enum, value_name = "KIND")]
    pub filters: Option<FilterKind>,
    /// Largest error of the filters' tables; default: 1e-6.
    ///
    /// Of values and derivatives, as a part of the largest value.
    #[arg(long, value_name = "ERROR", hide_short_help = true)]
    pub table_accuracy: Option<f64>,
}

/// Engine and filters of a network.
#[derive(Debug, Clone, Default, Args)]
pub struct EngineArgs {
    /// What runs the network.
    ///
    /// Default: fast for SchNet and PaiNN, else network.
    #[arg(long, value_enum, value_name = "KIND")]
    pub engine: Option<EngineKind>,
    /// Its filters.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// Device of the network.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// A program that is asked instead of a model.
#[derive(Debug, Clone, Default, Args)]
pub struct ProgramArgs {
    /// Program to ask instead of a model.
    ///
    /// As 'python teacher.py'. It reads systems as extended XYZ and writes them back with energy and forces. Quotes keep words
    /// together; no shell reads them.
    #[arg(long, value_name = "COMMAND")]
    pub program: Option<String>,
    /// Longest time for one answer of the program, in seconds; default: 600.
    #[arg(long, value_name = "S", value_parser = positive(1e6), requires = "program", hide_short_help = true)]
    pub program_timeout: Option<f64>,
}

impl ProgramArgs {
    /// Command and time limit, where there is a program.
    ///
    /// # Errors
    /// A quote that nothing closes.
    pub fn settings(&self) -> anyhow::Result<Option<ProgramSettings>> {
        let Some(text) = &self.program else { return Ok(None) };
        let Some(words) = shlex::split(text) else {
            anyhow::bail!("--program {text}: a quote is not closed");
        };
        let mut settings = ProgramSettings::new(words);
        settings.timeout_seconds = self.program_timeout.unwrap_or(settings.timeout_seconds);
        Ok(Some(settings))
    }
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for models and report; replaced when it exists.
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
    /// Folder of the data; default: data/xcoll-demo.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Study; default: practical.toml beside the data.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change a setting of all students, as --set training.max_steps=200.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Judge on the validation split, for choosing settings.
    #[arg(long)]
    pub judge_on_validation: bool,
    /// Print summary.json instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// `study`
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// TOML file of the study.
    pub config: PathBuf,
    /// Folder for runs, tables and report.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Trainings at a time, which share the threads.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(1..=256_usize))]
    pub jobs: usize,
    /// Do one part of the trainings, as 2/8.
    ///
    /// For job arrays: each part does every n-th training, in the same folder. The part that finds all done writes the table. Where
    /// weights are tuned first, run all parts twice.
    #[arg(long, value_name = "R/N", hide_short_help = true)]
    pub part: Option<Part>,
    /// List the trainings and whether each has a result, and do nothing.
    #[arg(long, hide_short_help = true)]
    pub list: bool,
    /// Where networks train.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
}
