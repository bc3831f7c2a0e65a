//! Step that builds the plugin for LAMMPS, installs it in a fresh environment, and runs its tests there.

use std::ffi::OsStr;
use std::fs;

use anyhow::{Context, Result};

use super::cargo::succeeds;
use super::environment::{Environment, interpreter, only_wheel, program};
use crate::root;

/// Tests the pair style as a user has it after `pip install`.
pub fn tests() -> Result<bool> {
    if !cfg!(target_os = "linux") {
        println!("the plugin is for Linux: nothing tests it here");
        return Ok(true);
    }
    let Some(python) = interpreter() else {
        println!("no python3 of 3.10 or newer with venv is installed: nothing tests the plugin for LAMMPS");
        return Ok(true);
    };
    let folder = root().join("target/lammps");
    let wheels = folder.join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels).with_context(|| wheels.display().to_string())?;
    }
    let fresh = Environment::make(python, folder.join("fresh"), true)?;
    let mut build = fresh.python("pip");
    build
        .args(["wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "./lammps", "--wheel-dir"])
        .arg(&wheels);
    if !succeeds(&mut build)? {
        return Ok(false);
    }
    let wheel = only_wheel(&wheels)?;
    let all = [wheel.as_os_str(), OsStr::new("numpy>=1.24"), OsStr::new("pytest>=8")];
    for package in all {
        if !fresh.install(package)? {
            return Ok(false);
        }
    }
    succeeds(fresh.python("pytest").arg("lammps/tests").env("POTSTILL", program()?))
}
