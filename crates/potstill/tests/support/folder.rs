//! A folder with a model of acetylacetone and acetylacetone, to try dynamics and rounds in.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use potstill_core::System;
use potstill_data::io::{LabelKeys, read_all, write};
use serde_json::Value;
use tempfile::TempDir;

/// A file of the repository.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// A folder, and words that every command line ends with.
pub struct Folder {
    pub folder: TempDir,
    words: &'static str,
}

impl Folder {
    /// A PaiNN with gradient forces that has learnt acetylacetone, and acetylacetone, under these names.
    pub fn new(model: &str, structures: &str, words: &'static str) -> Self {
        let own = Self { folder: TempDir::new().unwrap(), words };
        fs::copy(shipped("python/tests/models/acac-painn.safetensors"), own.path(model)).unwrap();
        fs::copy(shipped("testdata/models/version-2-painn.extxyz"), own.path(structures)).unwrap();
        own
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
        command.current_dir(self.folder.path());
        command
    }

    pub fn run(&self, line: &str) -> assert_cmd::assert::Assert {
        self.command().args(line.split_whitespace()).args(self.words.split_whitespace()).assert()
    }

    pub fn json(&self, line: &str) -> Value {
        serde_json::from_slice(&self.run(line).success().get_output().stdout).unwrap()
    }

    /// The command fails with this status and one line, which is returned.
    pub fn fails(&self, line: &str, status: i32) -> String {
        let output = self.run(line).code(status).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap_or_default().to_owned();
        assert!(!last.is_empty() && !stderr.contains("panicked"), "{line}: {stderr}");
        last
    }

    pub fn systems(&self, name: &str) -> Vec<System> {
        read_all(&self.path(name), &LabelKeys::default()).unwrap().0
    }

    pub fn write(&self, name: &str, systems: &[System]) {
        let mut writer = write(&self.path(name)).unwrap();
        systems.iter().for_each(|system| writer.write(system).unwrap());
        writer.finish().unwrap();
    }

    /// Lines of a file of JSON.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
