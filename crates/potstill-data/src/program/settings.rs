//! The command of a program that labels systems.

use std::path::{Path, PathBuf};

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Longest name of a program in messages in characters.
const LONGEST_NAME: usize = 80;

/// Command of a program that labels systems, and how long it may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSettings {
    /// Program and its arguments, as in `["python", "teacher.py"]`; no shell reads them.
    pub command: Vec<String>,
    /// Longest time in seconds until the answer about one system is there. Default 600.
    #[serde(default = "ten_minutes", skip_serializing_if = "is_ten_minutes")]
    pub timeout_seconds: f64,
    /// Folder in which the program runs. Default: that of the configuration file.
    #[serde(default = "here", skip_serializing_if = "is_here")]
    pub folder: PathBuf,
}

fn ten_minutes() -> f64 {
    600.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_ten_minutes(seconds: &f64) -> bool {
    *seconds == ten_minutes()
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

fn is_here(folder: &Path) -> bool {
    folder == here()
}

impl ProgramSettings {
    /// Command with the default time limit, in the folder of this process.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { command, timeout_seconds: ten_minutes(), folder: here() }
    }

    /// Checks that there is a program and a positive time.
    ///
    /// # Errors
    /// Names the setting and what it may be.
    pub fn check(&self) -> Result<()> {
        if self.command.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(Error::setting("command", "names no program; give it as [\"python\", \"teacher.py\"]"));
        }
        match self.timeout_seconds > 0.0 && self.timeout_seconds <= 1e6 {
            true => Ok(()),
            false => {
                let message = format!("is {}; give a time in seconds above 0, at most 1000000", self.timeout_seconds);
                Err(Error::setting("timeout_seconds", message))
            }
        }
    }

    /// Hash of the command and of the files that it names: the identity of the program, as far as it can be known.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for word in &self.command {
            hasher.update(&(word.len() as u64).to_le_bytes()).update(word.as_bytes());
            let file = self.folder.join(word);
            if file.is_file() {
                // A file that cannot be read counts by its name alone.
                let _ = std::fs::File::open(file).and_then(|file| hasher.update_reader(file).map(|_| ()));
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl std::fmt::Display for ProgramSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command = self.command.join(" ");
        let words: Vec<&str> = command.split_whitespace().collect();
        let line = words.join(" ");
        match line.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => write!(f, "`{}…`", &line[..end]),
            None => write!(f, "`{line}`"),
        }
    }
}
