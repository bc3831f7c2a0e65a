//! `potstill completions`

use anyhow::{Context, Result};

use super::print;
use crate::Outcome;
use crate::args::{Cli, CompletionsArgs};

/// Prints a script that completes potstill's arguments in a shell.
pub fn run(args: &CompletionsArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::program(), "potstill", &mut script);
    print(String::from_utf8(script).context("completions")?.trim_end())?;
    Ok(Outcome::Done)
}
