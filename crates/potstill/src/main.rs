//! The command line of potstill.

#[macro_use]
mod talk;

#[cfg(feature = "mimalloc")]
mod allocator;
mod args;
mod audit;
mod commands;
mod config_file;
mod device;
mod evaluation;
#[cfg(test)]
mod fuzz;
mod heat_map;
mod internal;
mod interrupt;
mod limits;
mod load;
mod output;
mod potential;
mod progress;
mod report;

mod study;
mod usage;
mod watcher;
mod world;

use std::process::ExitCode;

/// End of a command that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is done.
    Done,
    /// A threshold that was asked for was missed.
    Missed,
    /// The user interrupted; what was done is saved.
    Interrupted,
}

/// Exit status of a command that failed.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    #[cfg(feature = "mimalloc")]
    allocator::keep_memory();
    internal::guarded(|| match commands::Cli::read() {
        Ok(cli) => run(cli),
        Err(error) => usage::answer(&error),
    })
}

fn run(cli: commands::Cli) -> ExitCode {
    talk::set_level(cli.level());
    if let Err(message) = world::start() {
        complain!("error: {message}");
        return ExitCode::from(FAILED);
    }
    if !world::ranks().leads() {
        talk::set_level(talk::Level::Quiet);
    }
    let status = match commands::run(cli) {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Missed) => 1,
        Ok(Outcome::Interrupted) => 130,
        Err(error) => {
            world::wait_for_the_first();
            complain!("error: {}", one_line(&error));
            world::finish(Some(FAILED));
            return ExitCode::from(FAILED);
        }
    };
    world::finish(None);
    ExitCode::from(status)
}

/// The error and its causes; a cause that the error already quotes is not said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line += &format!(": {cause}");
        }
    }
    line.replace('\n', " ")
}

/// An error of the program as one of the library: its line of text.
fn plain(error: anyhow::Error) -> potstill_core::Error {
    potstill_core::Error::Other(one_line(&error))
}
