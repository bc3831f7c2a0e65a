//! Python environments of the gate's steps.

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

/// Interpreter that can make environments, if one is installed.
pub fn interpreter() -> Option<&'static str> {
    let fits = |name: &&str| {
        let mut command = Command::new(name);
        command.args(["-c", FIT]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["python3", "python"].into_iter().find(fits)
}

/// The program that the package is compared with: what `POTSTILL` names, or the workspace's own.
pub fn program() -> Result<PathBuf> {
    match std::env::var_os("POTSTILL") {
        Some(program) => Ok(program.into()),
        None => build()?.program(),
    }
}

/// The one wheel in a folder.
pub fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    match paths.as_slice() {
        [wheel] => Ok(wheel.clone()),
        other => bail!("{}: expected one wheel, found {}", folder.display(), other.len()),
    }
}

/// Virtual environment.
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Makes an environment, or takes the one that is there unless it shall be fresh.
    pub fn make(python: &str, folder: PathBuf, fresh: bool) -> Result<Self> {
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

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// A module of the environment, run in the repository.
    pub fn python(&self, module: &str) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-m", module]).current_dir(root());
        command
    }

    /// Installs a package.
    pub fn install(&self, package: &OsStr) -> Result<bool> {
        succeeds(self.python("pip").args(["install", "--quiet", "--disable-pip-version-check"]).arg(package))
    }
}
