//! Systems to a file that reads back as the same systems, bit for bit.

use std::io::Write;
use std::path::Path;

use super::text::append;
use crate::io::compression::CompressedFile;
use potstill_core::files::atomic::write_error;
use potstill_core::system::System;
use potstill_core::{Error, Result};

/// Writes systems; the file appears when [`ExtxyzWriter::finish`] succeeds.
pub struct ExtxyzWriter {
    file: CompressedFile,
    /// Text of one system, reused.
    text: String,
    n_written: usize,
}

impl ExtxyzWriter {
    /// Opens `path`, compressed when its name ends in `.gz`, `.xz` or `.zst`.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder is missing or refuses.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: CompressedFile::create(path)?, text: String::new(), n_written: 0 })
    }

    /// Appends a system.
    ///
    /// # Errors
    /// [`Error::System`] when arrays of the system disagree in length, hold an unknown element or no atom, or a
    /// number is not finite; [`Error::Io`] when the disk refuses.
    pub fn write(&mut self, system: &System) -> Result<()> {
        let fail = |message| Error::System { index: self.n_written, name: system.name(), message };
        self.text.clear();
        append(&mut self.text, system).map_err(fail)?;
        self.file.write_all(self.text.as_bytes()).map_err(|e| write_error(self.file.path(), e))?;
        self.n_written += 1;
        Ok(())
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`]; an old file of that name is then untouched.
    pub fn finish(self) -> Result<()> {
        self.file.commit()
    }
}
