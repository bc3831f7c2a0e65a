//! Executables of the workspace.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::root;

/// Executables that cargo built.
pub struct Built {
    artifacts: Vec<Value>,
}

/// Builds the program and its tests, with the features that `cargo test --release --workspace` gives them.
pub fn build() -> Result<Built> {
    let arguments = ["test", "--release", "--workspace", "--bins", "--test", "fuzz", "--no-run"];
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo {}: failed", arguments.join(" "));
    }
    let lines = output.stdout.split(|&b| b == b'\n');
    Ok(Built { artifacts: lines.filter_map(|line| serde_json::from_slice(line).ok()).collect() })
}

impl Built {
    /// The program itself.
    pub fn program(&self) -> Result<PathBuf> {
        self.executable("potstill", false)
    }

    /// The tests of a target of that name.
    pub fn tests(&self, name: &str) -> Result<PathBuf> {
        self.executable(name, true)
    }

    fn executable(&self, name: &str, is_test: bool) -> Result<PathBuf> {
        let fits = |a: &&Value| a["target"]["name"] == name && a["profile"]["test"] == is_test;
        let found = self.artifacts.iter().filter(fits).find_map(|a| a["executable"].as_str());
        found.map(PathBuf::from).with_context(|| format!("cargo built no {name}"))
    }
}
