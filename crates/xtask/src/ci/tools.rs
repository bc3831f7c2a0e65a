//! Steps that other programs do, which are installed under `target/tools` when they are missing.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::cargo::{cargo, succeeds};
use crate::root;

/// Program of a package on the crates registry.
struct Tool {
    package: &'static str,
    version: &'static str,
    program: &'static str,
}

const MACHETE: Tool = Tool { package: "cargo-machete", version: "0.9.2", program: "cargo-machete" };
const TYPOS: Tool = Tool { package: "typos-cli", version: "1.52.0", program: "typos" };

impl Tool {
    /// The program in its version, built first where it is missing.
    fn command(&self) -> Result<Command> {
        let folder = root().join("target/tools").join(format!("{}-{}", self.package, self.version));
        let program: PathBuf = folder.join("bin").join(self.program);
        if !program.is_file() {
            self.install(&folder)?;
        }
        let mut command = Command::new(program);
        command.current_dir(root());
        Ok(command)
    }

    fn install(&self, folder: &std::path::Path) -> Result<()> {
        let build = root().join("target/tools/build");
        let package = format!("{}@{}", self.package, self.version);
        println!("installing {package}");
        let mut install = cargo(&["install", "--locked", "--quiet", &package, "--root"]);
        ensure!(succeeds(install.arg(folder).env("CARGO_TARGET_DIR", &build))?, "cannot install {package}");
        // Only the program is wanted again.
        let _ = std::fs::remove_dir_all(build);
        Ok(())
    }
}

/// Finds dependencies that no code uses.
pub fn machete() -> Result<bool> {
    succeeds(MACHETE.command()?.arg("crates"))
}

/// Finds misspelt words; `typos.toml` has the exceptions.
pub fn typos() -> Result<bool> {
    succeeds(&mut TYPOS.command()?)
}
