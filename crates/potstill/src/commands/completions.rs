//! `potstill completions`

use anyhow::{Context, Result};

use super::Cli;
use super::print;
use crate::Outcome;

/// Arguments of `potstill completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Prints a script that completes potstill's arguments in a shell.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::program(), "potstill", &mut script);
    print(String::from_utf8(script).context("completions")?.trim_end())?;
    Ok(Outcome::Done)
}
