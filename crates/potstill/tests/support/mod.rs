//! A folder to try the program in.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use tempfile::TempDir;

/// A folder with four labelled molecules, a configuration and, when asked for, a trained model.
pub struct Bench {
    folder: TempDir,
}

pub const WATER: &str = "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 name=water pbc=\"F F F\"\n\
O 0.0 0.0 0.0 0.1 0.0 0.0\nH 0.96 0.0 0.0 -0.1 0.2 0.0\nH -0.24 0.93 0.0 0.0 -0.2 0.0\n";
pub const METHANE: &str = "5\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-2.0 name=methane pbc=\"F F F\"\n\
C 0.0 0.0 0.0 0.0 0.1 0.0\nH 0.63 0.63 0.63 0.0 -0.1 0.0\nH -0.63 -0.63 0.63 0.0 0.0 0.3\nH 0.63 -0.63 -0.63 0.0 0.0 0.0\nH -0.63 0.63 -0.63 0.0 0.0 -0.3\n";
pub const CONFIG: &str = "[data]\ntrain = ['train.xyz']\nvalidation = ['train.xyz']\n[model]\narchitecture = 'painn'\n\
hidden_channels = 8\nn_layers = 2\nn_radial = 6\ncutoff = 4.0\n[training]\nbatch_size = 2\nepochs = 2\n";

impl Bench {
    pub fn new() -> Self {
        let bench = Self { folder: TempDir::new().unwrap() };
        bench.write("train.xyz", &format!("{WATER}{METHANE}{WATER}{METHANE}"));
        bench.write("train.toml", CONFIG);
        bench
    }

    pub fn trained() -> Self {
        let bench = Self::new();
        bench.run(&["train", "train.toml", "--out", "run"]).success();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The command, in this folder and with one thread.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_potstill"));
        command.current_dir(self.folder.path()).args(arguments).arg("--threads").arg("1");
        // Without it Mesa's drivers print lines that look like errors of the program.
        command.env("XDG_RUNTIME_DIR", self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        Command::from(self.command(arguments)).assert()
    }

    /// The command fails with exit status 2 and one line that holds all of `words`.
    pub fn fails(&self, arguments: &[&str], words: &[&str]) {
        let output = self.run(arguments).code(2).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{stderr}");
        assert_eq!(stderr.lines().last(), Some(errors[0]), "{stderr}");
        for word in words {
            assert!(errors[0].contains(word), "no `{word}` in: {}", errors[0]);
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(arguments).success().get_output().clone();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
