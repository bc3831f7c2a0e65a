//! A file that grows piece by piece and ends with a whole piece, whatever ends the run.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use potstill_core::files::atomic::write_error;
use potstill_core::{Error, Result};

/// File that has its name from the start and grows piece by piece.
///
/// A piece that cannot be written completely, for want of space for example, is cut off again.
#[derive(Debug)]
pub struct GrowingFile {
    file: File,
    path: PathBuf,
    /// Bytes of all whole pieces.
    len: u64,
}

impl GrowingFile {
    /// Starts an empty file, in place of a file of that name.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder refuses.
    pub fn create(path: &Path) -> Result<Self> {
        Self::open(path, 0, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Goes on with a file after its first `len` bytes, and drops what follows them; one of none need not be there.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened; a file that is shorter.
    pub fn resume(path: &Path, len: u64) -> Result<Self> {
        if len == 0 {
            return Self::create(path);
        }
        let own = Self::open(path, len, OpenOptions::new().write(true))?;
        let found = own.file.metadata().map_err(|e| Error::io(path, "cannot read", e))?.len();
        if found < len {
            let message = format!("has {found} bytes, fewer than the {len} that were written; was it changed?");
            return Err(Error::file(path, message));
        }
        own.cut()?;
        Ok(own)
    }

    fn open(path: &Path, len: u64, how: &OpenOptions) -> Result<Self> {
        let file = how.open(path).map_err(|e| Error::io(path, "cannot open for writing", e))?;
        Ok(Self { file, path: path.to_owned(), len })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses; the file then ends with the last whole piece.
    pub fn append(&mut self, piece: &[u8]) -> Result<()> {
        let written = self.file.seek(SeekFrom::Start(self.len)).and_then(|_| self.file.write_all(piece));
        match written {
            Ok(()) => {
                self.len += piece.len() as u64;
                Ok(())
            }
            Err(error) => {
                let _ = self.cut();
                Err(write_error(&self.path, error))
            }
        }
    }

    /// Bytes of all whole pieces.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no piece.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sees to it that all pieces are on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| write_error(&self.path, e))
    }

    /// Drops what is behind the last whole piece.
    fn cut(&self) -> Result<()> {
        self.file.set_len(self.len).map_err(|e| Error::io(&self.path, "cannot shorten", e))
    }
}
