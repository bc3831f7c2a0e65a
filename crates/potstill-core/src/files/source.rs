//! Bytes that are read where they are wanted, from a file or from memory, and never all at once.
//!
//! Positioned reads instead of a memory map: a file that another program cuts short gives an error and not a signal,
//! and the memory of the process does not grow with the part of the file that it has seen.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Bytes of known length that can be read at any position.
pub trait ReadAt {
    /// Number of bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// A message when the bytes end before `buffer` is full, or when the disk refuses.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String>;

    /// `length` bytes from `offset` on; nothing is allocated when they are not there.
    ///
    /// # Errors
    /// As [`ReadAt::fill`].
    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        check_range(self.size(), offset, length)?;
        let mut buffer = vec![0; usize::try_from(length).map_err(|e| e.to_string())?];
        self.fill(offset, &mut buffer)?;
        Ok(buffer)
    }
}

fn check_range(size: u64, offset: u64, length: u64) -> Result<(), String> {
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => Err(format!("is cut short: {length} bytes from byte {offset} on are wanted, but it has {size}")),
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        check_range(self.size(), offset, buffer.len() as u64)?;
        let start = usize::try_from(offset).map_err(|e| e.to_string())?;
        buffer.copy_from_slice(&self[start..start + buffer.len()]);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        self.as_slice().fill(offset, buffer)
    }
}

/// A file, read at positions; can be shared between threads.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size: u64,
    path: PathBuf,
}

impl FileSource {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Error::Io`] naming `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let metadata = file.metadata().map_err(|e| Error::io(path, "cannot read", e))?;
        if metadata.is_dir() {
            return Err(Error::file(path, "is a folder, but a file is expected"));
        }
        Ok(Self { file, size: metadata.len(), path: path.to_path_buf() })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ReadAt for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        check_range(self.size, offset, buffer.len() as u64)?;
        read_exact_at(&self.file, offset, buffer).map_err(|e| format!("cannot read: {e}"))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        offset += n as u64;
        buffer = &mut buffer[n..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_within_bounds_only() {
        let bytes: &[u8] = b"abcdef";
        assert_eq!(bytes.bytes(2, 3).unwrap(), b"cde");
        assert_eq!(bytes.bytes(6, 0).unwrap(), b"");
        for (offset, length) in [(4, 3), (7, 0), (u64::MAX, 2), (0, u64::MAX)] {
            assert!(bytes.bytes(offset, length).unwrap_err().starts_with("is cut short: "));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, bytes).unwrap();
        let file = FileSource::open(&path).unwrap();
        assert_eq!((file.size(), file.bytes(2, 3).unwrap()), (6, b"cde".to_vec()));
        assert!(file.bytes(4, 3).is_err());
        assert!(FileSource::open(folder.path()).unwrap_err().to_string().contains("is a folder"));
    }
}
