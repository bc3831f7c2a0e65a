//! Tasks of potstill's developers: `cargo xtask COMMAND`; `docs/book/src/explanation/robustness.md` says what each is for.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a developer's tool, whose output is its work")]

mod build;
mod ci;
mod fixtures;
mod fuzz;
mod gpu;
mod kill;
mod markdown;
mod readme;
mod reference;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of potstill's developers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate: everything that must hold before a change lands.
    ///
    /// Example: cargo xtask ci
    Ci(ci::Args),
    /// Cut the part of the golden files that ships with the repository out of a full set.
    ///
    /// Example: cargo xtask fixtures --from ../shared/fixtures
    Fixtures(fixtures::Args),
    /// Give every reader changed inputs for some minutes, and report panics, hangs and allocations without end.
    ///
    /// Each target runs in a process of its own, which has 1 GiB and 10 s for each input. Inputs that show a defect are kept.
    /// Example: cargo xtask fuzz --minutes 10 --target npz --seed 7
    Fuzz(fuzz::Args),
    /// Test networks on a graphics processor: on a software renderer, or on a device that is named.
    ///
    /// Example: cargo xtask gpu --device vulkan
    Gpu(gpu::Args),
    /// Kill the program at random moments, start it again until it ends, and compare with a run that was left alone.
    ///
    /// Example: cargo xtask kill --runs 100 --what train,study --seed 7
    Kill(kill::Args),
    /// Run the README's walk "Your own data" from top to bottom in an empty folder.
    ///
    /// Example: cargo xtask readme
    Readme(readme::Args),
    /// Write the manual's pages of commands and configuration keys from the code.
    ///
    /// Example: cargo xtask reference --check
    Reference(reference::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ci(args) => ci::run(&args),
        Command::Fixtures(args) => fixtures::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Gpu(args) => gpu::run(&args),
        Command::Kill(args) => kill::run(&args),
        Command::Readme(args) => readme::run(&args),
        Command::Reference(args) => reference::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The repository.
fn root() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).unwrap_or(Path::new("."))
}
