//! Step that builds the Python wheel, installs it in a fresh environment, and runs its tests there.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::cargo::succeeds;
use crate::build::build;
use crate::root;

/// Interpreter that can make environments and is new enough for the package.
const FIT: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";

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
    if !tools.install(OsStr::new("maturin>=1.9,<2"))? || !succeeds(&mut tools.build_into(&wheels))? {
        return Ok(false);
    }
    // Fresh, so that nothing is there but what the wheel asks for.
    let fresh = Environment::make(python, folder.join("fresh"), true)?;
    let mut wheel = only_wheel(&wheels)?.into_os_string();
    wheel.push("[test]");
    Ok(fresh.install(&wheel)? && succeeds(fresh.python("pytest").arg("python/tests").env("POTSTILL", program()?))?)
}

fn interpreter() -> Option<&'static str> {
    let fits = |name: &&str| {
        let mut command = Command::new(name);
        command.args(["-c", FIT]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["python3", "python"].into_iter().find(fits)
}

/// The program that the package is compared with: what `POTSTILL` names, or the workspace's own.
fn program() -> Result<PathBuf> {
    match std::env::var_os("POTSTILL") {
        Some(program) => Ok(program.into()),
        None => build()?.program(),
    }
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    match paths.as_slice() {
        [wheel] => Ok(wheel.clone()),
        other => bail!("{}: expected one wheel, found {}", folder.display(), other.len()),
    }
}

/// Virtual environment.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Makes an environment, or takes the one that is there unless it shall be fresh.
    fn make(python: &str, folder: PathBuf, fresh: bool) -> Result<Self> {
        let environment = Self { folder };
        if fresh || !environment.interpreter().is_file() {
            let mut make = Command::new(python);
            make.args(["-m", "venv", "--clear"]).arg(&environment.folder);
            if !succeeds(&mut make)? {
                bail!("{}: cannot make a Python environment", environment.folder.display());
            }
        }
        Ok(environment)
    }

    fn interpreter(&self) -> PathBuf {
        self.folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
    }

    /// A module of the environment, run in the repository.
    fn python(&self, module: &str) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-m", module]).current_dir(root());
        command
    }

    fn install(&self, package: &OsStr) -> Result<bool> {
        succeeds(self.python("pip").args(["install", "--quiet", "--disable-pip-version-check"]).arg(package))
    }

    fn build_into(&self, folder: &Path) -> Command {
        let mut command = self.python("maturin");
        command.args(["build", "--quiet", "--locked", "--out"]).arg(folder);
        command
    }
}
