//! The one error type of the crate: where it happened, what was wrong, what to do, on one line.

use std::path::{Path, PathBuf};

/// `Result` with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failure to read, check or write data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: missing file, no permission, full disk, …
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// The file that was being used.
        path: PathBuf,
        /// Action that failed, as a verb phrase (`cannot open`, `cannot write`).
        doing: &'static str,
        /// The operating system's own words.
        source: std::io::Error,
    },
    /// A file whose contents are wrong as a whole.
    #[error("{}: {message}", path.display())]
    File {
        /// The offending file.
        path: PathBuf,
        /// Fault and remedy.
        message: String,
    },
    /// Wrong line (1-based) of a text file.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The offending file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// Fault and remedy.
        message: String,
    },
    /// Wrong system (0-based index in its dataset).
    #[error("system {index}{}: {message}", name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default())]
    System {
        /// Index in the dataset or batch, counted from 0.
        index: usize,
        /// The system's own name, when it has one.
        name: Option<String>,
        /// Fault and remedy.
        message: String,
    },
    /// A setting is unusable.
    #[error("{key}: {message}")]
    Setting {
        /// The key as the user writes it, for example `model.cutoff`.
        key: String,
        /// Fault and remedy.
        message: String,
    },
    /// Error without a single place.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(path: impl AsRef<Path>, doing: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().into(), doing, source }
    }

    /// An [`Error::File`] for `path`.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), message: message.into() }
    }

    /// An [`Error::Line`] for line `line` (from 1) of `path`.
    pub fn line(path: impl AsRef<Path>, line: usize, message: impl Into<String>) -> Self {
        Self::Line { path: path.as_ref().into(), line, message: message.into() }
    }

    /// An [`Error::System`] for the system with that index.
    pub fn system(index: usize, message: impl Into<String>) -> Self {
        Self::System { index, name: None, message: message.into() }
    }

    /// Adds `n` to the index of a system, for batches that count from their own start.
    #[must_use]
    pub fn shifted(self, n: usize) -> Self {
        match self {
            Self::System { index, name, message } => Self::System { index: index + n, name, message },
            other => other,
        }
    }

    /// Adds the file of the system that the error is about. `origin` knows the file of a system, and the system's index
    /// in it.
    #[must_use]
    pub fn located<'p>(self, origin: &dyn Fn(usize) -> Option<(&'p Path, usize)>) -> Self {
        let Self::System { index, name, message } = self else { return self };
        match origin(index) {
            Some((path, index)) => {
                let message = Self::System { index, name, message }.to_string();
                Self::file(path, message)
            }
            None => Self::System { index, name, message },
        }
    }

    /// An [`Error::Setting`] for a configuration key.
    pub fn setting(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Setting { key: key.into(), message: message.into() }
    }
}
