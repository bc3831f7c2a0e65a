//! Steps that cargo does.

use std::process::Command;

use anyhow::{Context, Result};

use crate::root;

/// A cargo command in the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Whether a command succeeds; its output is shown.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(status.success())
}

/// Checks the format of the code.
pub fn format() -> Result<bool> {
    succeeds(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Runs all tests, the snapshots of the command line among them.
pub fn tests() -> Result<bool> {
    // A snapshot that differs is an error, not a file to look at later.
    let all = succeeds(cargo(&["test", "--release", "--workspace"]).env("INSTA_UPDATE", "no"))?;
    // Kernels once more with narrower registers than most machines have; those that have no others ignore it.
    let narrow = ["--test", "pairs", "--test", "networks", "--test", "domains"];
    let mut again = cargo(&[&["test", "--release", "--workspace"][..], &narrow].concat());
    Ok(all && succeeds(again.env("POTSTILL_INSTRUCTIONS", "avx2"))?)
}

/// Runs clippy; a warning is an error.
pub fn lints() -> Result<bool> {
    succeeds(&mut cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// Builds the documentation of the code; a warning is an error.
pub fn documentation() -> Result<bool> {
    succeeds(cargo(&["doc", "--release", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Packs every crate that is published, without building it again.
pub fn packages() -> Result<bool> {
    succeeds(&mut cargo(&["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]))
}

/// Looks at a report in a browser, where one is installed.
pub fn report_in_a_browser() -> Result<bool> {
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    if !["chromium", "chromium-browser", "google-chrome"].iter().any(is_there) {
        println!("no browser is installed: nothing looks at the report");
        return Ok(true);
    }
    let test = "a_browser_shows_everything_without_a_network";
    succeeds(&mut cargo(&["test", "--release", "--workspace", "--bin", "potstill", "--", "--ignored", test]))
}
