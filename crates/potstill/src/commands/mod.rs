//! One file per verb.

mod bench;
mod completions;
mod data;
pub mod demo;
mod evaluate;
mod export;
mod fit_scales;
mod generate;
mod import;
mod info;
mod label;
mod man;
mod predict;
mod similarity;
mod study;
pub mod train;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::Outcome;
use crate::args::{Cli, Command};
use crate::output::{print, print_json};

/// Runs what was asked for.
pub fn run(cli: Cli) -> Result<Outcome> {
    let threads = cli.threads.unwrap_or(0);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    detail!("potstill {}, {} threads", env!("CARGO_PKG_VERSION"), rayon::current_num_threads());
    let started = Instant::now();
    let outcome = dispatch(cli.command);
    detail!("{:.1} s in all", started.elapsed().as_secs_f64());
    outcome
}

fn dispatch(command: Command) -> Result<Outcome> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Train(args) => train::run(&args, false),
        Command::Distill(args) => train::run(&args, true),
        Command::Label(args) => label::run(&args),
        Command::FitScales(args) => fit_scales::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Predict(args) => predict::run(&args),
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
