//! Names of teachers: files of three kinds, or a program.

use std::path::{Path, PathBuf};

use potstill_data::program::ProgramSettings;
use serde::{Deserialize, Serialize};

/// Teacher as a configuration names it: files, or a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a path, or a list of paths, or { command = [\"program\", \"argument\"] }")]
pub enum TeacherSource {
    /// A model file, a file of labels, or the folder of a cache.
    One(PathBuf),
    /// Model files, whose outputs are averaged; or files of labels, one after the other.
    Several(Vec<PathBuf>),
    /// A program that is started and asked; see [`potstill_data::program`].
    Program(ProgramSettings),
}

impl TeacherSource {
    /// Paths of the files in their order; none of a program.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
            Self::Program(_) => &[],
        }
    }

    /// Paths that can be changed: those of the files, or the folder in which a program runs.
    pub fn paths_mut(&mut self) -> &mut [PathBuf] {
        match self {
            Self::One(path) => std::slice::from_mut(path),
            Self::Several(paths) => paths,
            Self::Program(program) => std::slice::from_mut(&mut program.folder),
        }
    }
}

/// Kind of a teacher's file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Network,
    Labels,
    Cache,
}

impl FileKind {
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
            return Self::Network;
        }
        let is_cache = ["index.json", "shard-00000.safetensors"].iter().any(|name| path.join(name).is_file());
        if is_cache { Self::Cache } else { Self::Labels }
    }
}
