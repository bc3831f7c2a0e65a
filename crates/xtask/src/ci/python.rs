//! Step that builds the Python wheel, installs it in a fresh environment, and runs its tests there.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::cargo::succeeds;
use super::environment::{Environment, interpreter, only_wheel, program};
use crate::root;

/// Tests the package as a user has it after `pip install`.
pub fn tests() -> Result<bool> {
    let Some(python) = interpreter() else {
        println!("no python3 of 3.10 or newer with venv is installed: nothing tests the Python package");
        return Ok(true);
    };
    let folder = root().join("target/python");
    let tools = Environment::make(python, folder.join("tools"), false)?;
    let wheels = folder.join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels).with_context(|| wheels.display().to_string())?;
    }
    if !tools.install(OsStr::new("maturin>=1.9,<2"))? || !succeeds(&mut build_into(&tools, &wheels))? {
        return Ok(false);
    }
    // Fresh, so that nothing is there but what the wheel asks for.
    let fresh = Environment::make(python, folder.join("fresh"), true)?;
    let mut wheel = only_wheel(&wheels)?.into_os_string();
    wheel.push("[test]");
    Ok(fresh.install(&wheel)? && succeeds(fresh.python("pytest").arg("python/tests").env("POTSTILL", program()?))?)
}

/// Command that builds the wheel.
fn build_into(tools: &Environment, folder: &Path) -> Command {
    let mut command = tools.python("maturin");
    command.args(["build", "--quiet", "--locked", "--out"]).arg(folder);
    command
}
