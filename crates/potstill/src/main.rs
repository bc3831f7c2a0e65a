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
    match commands::run(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Missed) => ExitCode::from(1),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(error) => {
            complain!("error: {}", one_line(&error));
            ExitCode::from(2)
        }
    }
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
