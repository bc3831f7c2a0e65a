//! `potstill man`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap_mangen::Man;
use potstill_core::files::write_atomically;

use super::Cli;
use super::print;
use crate::Outcome;

/// Arguments of `potstill man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the pages.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Writes a manual page for each command.
pub fn run(args: &Args) -> Result<Outcome> {
    let out = &args.out;
    std::fs::create_dir_all(out).with_context(|| format!("{}: cannot create the folder", out.display()))?;
    let mut program = Cli::program().disable_help_subcommand(true);
    program.build();
    let n = write_pages(program, out)?;
    print(&format!("{}: {n} pages", out.display()))?;
    Ok(Outcome::Done)
}

/// Writes the page of a command and those of its subcommands; returns how many.
fn write_pages(command: clap::Command, out: &Path) -> Result<usize> {
    let mut n = 1;
    for subcommand in command.get_subcommands() {
        n += write_pages(subcommand.clone(), out)?;
    }
    let page = Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    write_atomically(&out.join(page.get_filename()), |writer| writer.write_all(&text))?;
    Ok(n)
}
