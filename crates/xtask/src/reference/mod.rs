//! Pages of the manual, and the header of the C interface, that are generated from the code: `cargo xtask reference`.

mod commands;
mod configuration;
mod defaults;
mod fields;
mod header;
mod types;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::build::build;
use crate::root;

/// Arguments of `cargo xtask reference`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Compare the pages with the code instead of writing them.
    #[arg(long)]
    check: bool,
}

/// Writes the pages, or compares them.
pub fn run(args: &Args) -> Result<bool> {
    let mut is_fresh = true;
    for (path, text) in pages()? {
        if args.check {
            let is_same = fs::read_to_string(&path).is_ok_and(|old| old == text);
            if !is_same {
                println!("{}: differs from the code; `cargo xtask reference` writes it", path.display());
            }
            is_fresh &= is_same;
        } else {
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    Ok(is_fresh)
}

/// Compares the pages with the code.
pub fn check() -> Result<bool> {
    run(&Args { check: true })
}

fn pages() -> Result<[(PathBuf, String); 3]> {
    let folder = root().join("docs/book/src/reference");
    let program = build()?.program()?;
    Ok([
        (folder.join("commands.md"), commands::page(&program)?),
        (folder.join("configuration.md"), configuration::page(&types::Types::read(&root().join("crates"))?)?),
        header::page(root())?,
    ])
}
