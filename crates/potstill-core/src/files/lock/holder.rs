//! Holder of a lock, as the locked file names it.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::utc;
use crate::Error;

/// Bytes that are read of a lock file, which anybody may have written.
const LARGEST_FILE: u64 = 4096;
/// Characters of the command that are kept.
const LONGEST_COMMAND: usize = 200;
/// Looks at a file whose holder has not signed it yet.
const LOOKS: usize = 5;

/// Process that holds a lock; fields are empty where it did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Name of the computer.
    pub host: String,
    /// Number of the process there; 0 where it is not known.
    pub process: u32,
    /// Time at which it took the lock, in UTC.
    pub since: String,
    /// Purpose for which it uses the folder.
    pub purpose: String,
    /// Command line of the process.
    pub command: String,
}

impl Holder {
    /// This process, now.
    pub(super) fn this_process(purpose: &str) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        Self {
            host: host(),
            process: std::process::id(),
            since: utc::format(seconds),
            purpose: purpose.to_owned(),
            command: words.join(" ").chars().take(LONGEST_COMMAND).collect(),
        }
    }

    /// The holder that a lock file names.
    pub(super) fn read(path: &Path) -> Self {
        // The holder signs after it has the lock.
        for _ in 0..LOOKS {
            if let Some(holder) = Self::parse(path) {
                return holder;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self::default()
    }

    fn parse(path: &Path) -> Option<Self> {
        let mut text = String::new();
        std::fs::File::open(path).ok()?.take(LARGEST_FILE).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The line of the lock file.
    pub(super) fn to_line(&self) -> String {
        serde_json::to_string(self).map_or_else(|_| String::new(), |text| text + "\n")
    }

    /// The error of a folder that is in use.
    pub fn error(&self, folder: &Path) -> Error {
        Error::file(folder, format!("is in use by {self}; wait until that has ended, or give another folder"))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.process == 0 {
            return f.write_str("another process");
        }
        let [host, since, purpose, command] = [&self.host, &self.since, &self.purpose, &self.command].map(|t| plain(t));
        write!(f, "process {} on host {host} since {since} ({purpose}: {command})", self.process)
    }
}

/// Text that stays on its line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Name of this computer.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}
