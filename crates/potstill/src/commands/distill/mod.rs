//! `potstill distill`: a student with the help of a teacher, once or in rounds.

mod decide;
mod rounds;

use std::path::PathBuf;

use anyhow::{Result, bail};
use potstill_train::config::Config;
use potstill_train::distill::TeacherSource;

pub use self::rounds::teacher;
use super::train::{RunArgs, configuration, run_once};
use crate::Outcome;
use crate::args::ProgramArgs;
use crate::limits::{positive, whole};
use crate::potential::Opened;
use crate::world;

/// Arguments of `potstill distill`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML configuration; paths in it are relative to it.
    ///
    /// None with --seeds: the program then decides everything, and writes it to config.toml in the folder of the run.
    #[arg(required_unless_present = "seeds", conflicts_with = "seeds")]
    pub config: Option<PathBuf>,
    /// Folder, seed and the like.
    #[command(flatten)]
    pub run: RunArgs,
    /// What stands for a configuration.
    #[command(flatten)]
    pub quick: QuickArgs,
}

/// A distillation without a configuration.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Without a configuration")]
pub struct QuickArgs {
    /// Files of structures to start from.
    ///
    /// Their labels are not used. A few dozen of the kind that the potential is for will do.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub seeds: Vec<PathBuf>,
    /// Model file of the teacher.
    #[arg(long, value_name = "FILE", requires = "seeds", conflicts_with = "program")]
    pub teacher: Option<PathBuf>,
    /// A program that is the teacher.
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Minutes for everything.
    #[arg(long, default_value_t = 30.0, value_name = "MIN", value_parser = positive(1e6))]
    pub minutes: f64,
    /// Times that the teacher may be asked, about.
    ///
    /// Also with a configuration, in place of distill.rounds.teacher_calls. Default: as many as fit into --minutes.
    #[arg(long, value_name = "N", value_parser = whole(1..=1_000_000_000_usize), hide_short_help = true)]
    pub teacher_calls: Option<usize>,
    /// Temperatures in K that the potential is for.
    #[arg(long, value_name = "K,…", value_delimiter = ',', default_value = "300,600,1000", value_parser = positive(1e6), hide_short_help = true)]
    pub temperatures: Vec<f64>,
    /// Files of structures that you will judge the student on.
    ///
    /// Nothing that is as good as one of them is learnt.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "seeds", hide_short_help = true)]
    pub test: Vec<PathBuf>,
    /// Rounds of labelling, training and looking for new structures.
    ///
    /// Also with a configuration, in place of distill.rounds.n.
    #[arg(long, value_name = "N", value_parser = whole(1..=1000_usize), hide_short_help = true)]
    pub rounds: Option<usize>,
}

/// Distils a student.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut config = match &args.config {
        Some(path) => from_file(path, args)?,
        None => decide::configuration(&args.quick, &args.run)?,
    };
    if let (Some(distill), Some(n)) = (config.distill.as_mut(), args.quick.rounds) {
        distill.rounds.get_or_insert_default().n = n;
    }
    if let (Some(distill), Some(calls)) = (config.distill.as_mut(), args.quick.teacher_calls) {
        distill.rounds.get_or_insert_default().teacher_calls = Some(calls);
    }
    match config.distill.as_ref().is_some_and(|distill| distill.rounds.is_some()) {
        true if !world::ranks().is_alone() => bail!(
            "distill.rounds: does not share its work among processes; start it once, without mpirun, or distil on the structures that \
             an earlier run found"
        ),
        true => rounds::run(&config, &args.run),
        false => run_once(&config, &args.run, measurable(&config).as_ref()),
    }
}

/// The teacher, where it is one model: files of labels are no potential, and a program is started once, by the training.
fn measurable(config: &Config) -> Option<Opened> {
    match config.distill.as_ref()?.teacher {
        TeacherSource::One(_) => teacher(config).ok(),
        TeacherSource::Several(_) | TeacherSource::Program(_) => None,
    }
}

fn from_file(path: &std::path::Path, args: &Args) -> Result<Config> {
    if args.quick.teacher.is_some() || args.quick.program.program.is_some() {
        bail!("--teacher, --program: go with --seeds; with a configuration, the teacher is its distill.teacher");
    }
    let config = configuration(path, &args.run)?;
    if config.distill.is_none() {
        bail!(
            "{}: has no [distill] section; add one with `teacher` and `terms`, or use `potstill train`",
            path.display()
        );
    }
    Ok(config)
}
