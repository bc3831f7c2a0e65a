//! `cargo xtask readme`

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::build::build;
use crate::markdown::{Block, blocks, section};
use crate::root;

/// Heading of the README's walk.
const SECTION: &str = "Your own data";

/// Arguments of `cargo xtask readme`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Markdown file.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Heading of the section that is run.
    #[arg(long, default_value = SECTION, value_name = "TITLE")]
    section: String,
    /// Program to run as `potstill`. Default: the one of this repository, built in release.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the folder in which the commands ran.
    #[arg(long)]
    keep: bool,
}

/// Runs the README's own walk.
pub fn walk_of_the_readme() -> Result<bool> {
    run(&Args { file: None, section: SECTION.to_owned(), binary: None, keep: false })
}

/// A step of the walk.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Commands of a `sh` block.
    Run(String),
    /// A `toml` block whose first line is `# file: NAME`.
    Write(PathBuf, String),
}

/// Runs the commands of the section in order; whether all succeeded.
pub fn run(args: &Args) -> Result<bool> {
    let file = args.file.clone().unwrap_or_else(|| root().join("README.md"));
    let text = fs::read_to_string(&file).with_context(|| format!("{}: cannot open", file.display()))?;
    let (first, part) =
        section(&text, &args.section).with_context(|| format!("{}: no section `{}`", file.display(), args.section))?;
    let steps = steps(&blocks(part), first).with_context(|| file.display().to_string())?;
    if !steps.iter().any(|(_, step)| matches!(step, Step::Run(_))) {
        println!("{}: the section `{}` has no sh block to run", file.display(), args.section);
        return Ok(true);
    }
    let binary = match &args.binary {
        Some(binary) => fs::canonicalize(binary).with_context(|| format!("{}: cannot open", binary.display()))?,
        None => build()?.program()?,
    };
    let folder = tempfile::Builder::new().prefix("potstill-readme-").tempdir()?;
    let path = folder.path().to_owned();
    if args.keep {
        println!("in {}", folder.keep().display());
        return walk(&steps, &path, &binary, &file);
    }
    walk(&steps, &path, &binary, &file)
}

/// The steps with the lines at which they stand.
fn steps(blocks: &[Block], first: usize) -> Result<Vec<(usize, Step)>> {
    let mut steps = Vec::new();
    for block in blocks {
        let line = first + block.line;
        match block.language.as_str() {
            "sh" => steps.push((line, Step::Run(block.text.clone()))),
            "toml" => {
                let Some(name) = block.text.lines().next().and_then(|l| l.strip_prefix("# file:")) else { continue };
                let name = PathBuf::from(name.trim());
                let is_inside = name.components().all(|part| matches!(part, Component::Normal(_)));
                if name.as_os_str().is_empty() || !is_inside {
                    bail!("line {line}: `{}` is not a file inside the folder", name.display());
                }
                steps.push((line, Step::Write(name, block.text.clone())));
            }
            _ => {}
        }
    }
    Ok(steps)
}

/// Takes the steps in an empty folder that has the repository's data, with `potstill` in the path of programs.
fn walk(steps: &[(usize, Step)], folder: &Path, binary: &Path, file: &Path) -> Result<bool> {
    let programs = folder.join(".programs");
    fs::create_dir(&programs)?;
    std::os::unix::fs::symlink(binary, programs.join("potstill"))?;
    for name in ["data", "examples"] {
        copy(&root().join(name), &folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let usual = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{usual}", programs.display());
    for (line, step) in steps {
        match step {
            Step::Write(name, text) => {
                let target = folder.join(name);
                fs::create_dir_all(target.parent().unwrap_or(folder))?;
                fs::write(&target, text).with_context(|| name.display().to_string())?;
            }
            Step::Run(text) => {
                let start = Instant::now();
                let mut command = Command::new("bash");
                command.args(["-c", &format!("set -euo pipefail\nexec 2>&1\n{text}")]);
                let output = command.current_dir(folder).env("PATH", &path).output().context("cannot start bash")?;
                println!("{}:{line}: {} in {:.0} s", file.display(), output.status, start.elapsed().as_secs_f64());
                if !output.status.success() {
                    println!("{}{}", text, String::from_utf8_lossy(&output.stdout));
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => fs::copy(entry.path(), &target).map(|_| ())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Success of a walk, and the folder that it leaves.
    fn walked(text: &str) -> (bool, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let steps = steps(&blocks(text), 0).unwrap();
        let ok = walk(&steps, folder.path(), Path::new("/bin/echo"), Path::new("T.md")).unwrap();
        (ok, folder)
    }

    #[test]
    fn commands_and_files_in_their_order() {
        let text = "```sh\npotstill first > out\ntest ! -e sub/a.toml\n```\n\n- item\n\n  ```toml\n  # file: sub/a.toml\n  b = 1\n  ```\n\n\
                    ```toml\nnot = 'written'\n```\n```\nfalse\n```\n```sh\ngrep -q 'b = 1' sub/a.toml\ntest -d data/xcoll-demo\n```\n";
        let (ok, folder) = walked(text);
        assert!(ok);
        assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), "first\n");
    }

    #[test]
    fn the_first_failure_ends_the_walk() {
        for failing in ["false", "false | cat", "echo $unset"] {
            let (ok, folder) = walked(&format!("```sh\n{failing}\ntouch after\n```\n```sh\ntouch later\n```\n"));
            assert!(!ok && !folder.path().join("after").exists() && !folder.path().join("later").exists(), "{failing}");
        }
    }

    #[test]
    fn files_stay_inside_the_folder() {
        for name in ["../a.toml", "/tmp/a.toml", ""] {
            let text = format!("```toml\n# file: {name}\n```\n");
            assert!(steps(&blocks(&text), 0).is_err(), "{name}");
        }
    }
}
