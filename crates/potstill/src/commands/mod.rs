//! The command line, and one file for each verb with its arguments.

mod bench;
mod completions;
mod data;
pub mod demo;
mod distill;
mod evaluate;
mod export;
mod fit_scales;
mod generate;
mod import;
mod info;
mod ipi;
mod label;
mod man;
mod md;
mod plan;
mod predict;
mod relax;
mod similarity;
mod study;
pub mod train;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::Outcome;
use crate::limits::whole;
use crate::output::{print, print_json};
use crate::talk::Level;
use crate::world;

/// Distil big, slow neural network potentials into small, fast ones.
///
/// Energies are in eV, lengths in Å, forces in eV/Å. Results go to standard output, everything else to standard error.
/// Exit status: 0 done, 1 a threshold that was asked for was missed, 2 failed, 70 an error of potstill itself, 130 interrupted.
/// A line of standard error that cannot be written is dropped; a result that cannot be written is a failure, unless nobody
/// reads on (`potstill … | head`).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Threads to use; default: one per core.
    ///
    /// Results depend on their number by rounding only.
    #[arg(long, global = true, value_name = "N", value_parser = whole(1..=1024_usize), display_order = 1000)]
    pub threads: Option<usize>,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 1001)]
    pub quiet: bool,
    /// Say more about what is done.
    #[arg(short, long, global = true, display_order = 1002)]
    pub verbose: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train and distil a student on shipped data, compare, report.
    ///
    /// The practical case: few labels, a teacher that is there, structures that only the teacher labels. The student is trained
    /// alone, with the teacher's features, and with the teacher's labels, in about 5 minutes.
    ///
    /// Example: potstill demo --out demo
    Demo(crate::args::DemoArgs),
    /// Train a network on labelled systems.
    ///
    /// Example: potstill train configs/acac-painn.toml --out runs/acac
    Train(train::Args),
    /// Train a student with the help of a teacher.
    ///
    /// The configuration has a `[distill]` section. The teacher is asked once, before the first step; its answers are kept in a
    /// cache and reused. With `[distill.rounds]`, or without a configuration, it labels structures that the student's own dynamics
    /// come by, in rounds.
    ///
    /// Example: potstill distill student.toml --out runs/student --set seed=1
    ///
    /// Example: potstill distill --teacher teacher.safetensors --seeds structures.extxyz --out student
    Distill(Box<distill::Args>),
    /// Find out what a distillation can reach, before it is run.
    ///
    /// Measures the teacher on held-out labels and trains the student three times for a short while: alone, alone twice as long,
    /// distilled. Says whether the teacher is better at all, and what limits the student: data, steps or size.
    ///
    /// Example: potstill plan student.toml --seconds 60
    Plan(plan::Args),
    /// Keep what a teacher says of a dataset in a cache.
    ///
    /// Energies and forces are always kept, features when they are asked for.
    ///
    /// Example: potstill label --model teacher.safetensors --data train.extxyz --out cache --node --vector
    Label(label::Args),
    /// Fit the scale factors of a GemNet-OC.
    ///
    /// Training does that by itself. Prints the section of a configuration.
    ///
    /// Example: potstill fit-scales configs/oc20-gemnet-oc.toml --out scales.toml
    FitScales(fit_scales::Args),
    /// Measure a model against labels.
    ///
    /// Example: potstill evaluate --model model.safetensors --data test.extxyz --max-force-mae 0.05
    Evaluate(evaluate::Args),
    /// Write what a model says of systems to a file.
    ///
    /// Energies are under `energy`, forces under `forces`, atomic energies under `atomic_energies`. Stress is written where a
    /// system has a cell and the model a gradient. Metadata and columns of the input stay, except its other labels.
    ///
    /// Example: potstill predict --model model.safetensors --input md.xyz --output predicted.extxyz
    Predict(predict::Args),
    /// Run molecular dynamics.
    ///
    /// At constant energy, temperature or pressure; replicas are evaluated as one batch. The folder gets a trajectory, a log and a
    /// restart file, with which --resume goes on bit for bit.
    ///
    /// Example: potstill md --model model.safetensors --input start.extxyz --out run --steps 10000 --temperature 300
    Md(Box<md::Args>),
    /// Relax systems to a minimum of the energy.
    ///
    /// Exit status 1: a system did not converge.
    ///
    /// Example: potstill relax --model model.safetensors --input systems.extxyz --output relaxed.extxyz --fmax 0.02
    Relax(relax::Args),
    /// Compute forces for i-PI or ASE over a socket.
    ///
    /// The server is started first; it moves the atoms. Beads of a ring polymer are one batch.
    ///
    /// Example: potstill ipi model.safetensors --template start.extxyz --unix potstill
    Ipi(ipi::Args),
    /// Time a model.
    ///
    /// Prints systems, atoms and steps of dynamics per second, with the fast engine and with the network in turn.
    ///
    /// Example: potstill bench --model model.safetensors --atoms 1000,10000,100000 --threads 1
    Bench(bench::Args),
    /// Train students in many ways and compare them in one table.
    ///
    /// A file lists the ways and seeds. Runs that are done are skipped, others go on: the same command finishes a study that was
    /// interrupted.
    ///
    /// Example: potstill study data/xcoll-demo/study.toml --out study --jobs 2
    Study(crate::args::StudyArgs),
    /// Compare the features of two networks, layer by layer.
    ///
    /// The measure is centred kernel alignment.
    ///
    /// Example: potstill similarity --a teacher.safetensors --b distilled.safetensors --b alone.safetensors --data
    /// test.extxyz --plot similarity.svg
    Similarity(similarity::Args),
    /// Turn a checkpoint of the Open Catalyst Project into a model.
    ///
    /// Reads what `torch.save` wrote (`.pt`); nothing in it is ever run.
    ///
    /// Example: potstill import --checkpoint best_checkpoint.pt --output painn.safetensors
    Import(import::Args),
    /// Write weights under the Open Catalyst Project's names.
    ///
    /// Example: potstill export --model painn.safetensors --output painn-ocp.safetensors
    Export(export::Args),
    /// Describe a model file.
    ///
    /// Example: potstill info model.safetensors
    Info(info::Args),
    /// Look at data, convert it, split it.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Print a script that completes arguments in a shell.
    ///
    /// Example: potstill completions bash > ~/.local/share/bash-completion/completions/potstill
    Completions(completions::Args),
    /// Write manual pages.
    ///
    /// Example: potstill man --out ~/.local/share/man/man1
    Man(man::Args),
}

impl Cli {
    /// The program with all its commands, options and help.
    pub fn program() -> clap::Command {
        with_negative_numbers(Self::command())
    }

    /// Reads the command line.
    pub fn read() -> Result<Self, clap::Error> {
        let mut matches = Self::program().try_get_matches()?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut Self::program()))
    }

    /// Amount of talk that the user wants.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, true) => Level::Verbose,
            _ => Level::Normal,
        }
    }
}

/// Lets `-1` be a value, so that the answer to `--std -1` says what it may be and not that there is no option `-1`.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let allow = |arg: clap::Arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// Runs what was asked for.
pub fn run(cli: Cli) -> Result<Outcome> {
    let ranks = world::ranks();
    if !ranks.is_alone() && !cli.command.is_shared() {
        bail!(
            "this command does not share its work among processes (train, distill, label and evaluate do); start it once, without mpirun"
        );
    }
    let threads = cli.threads.unwrap_or_else(world::threads);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    detail!("potstill {}, {} threads", env!("CARGO_PKG_VERSION"), rayon::current_num_threads());
    if !ranks.is_alone() {
        say!("{} processes of {} threads", ranks.n_ranks(), rayon::current_num_threads());
    }
    let started = Instant::now();
    let outcome = dispatch(cli.command);
    detail!("{:.1} s in all", started.elapsed().as_secs_f64());
    outcome
}

impl Command {
    /// Whether several processes share the work of the command.
    fn is_shared(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Distill(_) | Self::Label(_) | Self::Evaluate(_))
    }
}

fn dispatch(command: Command) -> Result<Outcome> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Distill(args) => distill::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Label(args) => label::run(&args),
        Command::FitScales(args) => fit_scales::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Md(args) => md::run(&args),
        Command::Relax(args) => relax::run(&args),
        Command::Ipi(args) => ipi::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Similarity(args) => similarity::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Data(command) => data::run(&command),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Says on standard error what a file has no room for, if there is anything.
fn tell_left_out(file: &Path, names: &[String]) {
    if !names.is_empty() {
        say!("{}: left out, as the format cannot hold them: {}", file.display(), names.join(", "));
    }
}

#[cfg(test)]
mod tests;
