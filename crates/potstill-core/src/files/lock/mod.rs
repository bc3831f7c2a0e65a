//! Locks on folders, so that two processes do not write into the same one.
//!
//! The lock is an advisory one of the operating system on the file [`LOCK_FILE`] in the folder. It ends with the process that
//! holds it, however that ends: a killed run leaves at most the file, which says who held it and locks nothing. Readers of a
//! folder need no lock, as potstill replaces files by renaming.

mod holder;
mod utc;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use holder::Holder;

use super::stale::remove_stale_temporaries;
use crate::{Error, Result};

/// Name of the locked file in the folder.
pub const LOCK_FILE: &str = ".potstill.lock";
/// Time between two looks at a lock that another process holds.
const PAUSE: Duration = Duration::from_millis(50);
/// Attempts to lock a file that other processes keep removing.
const ATTEMPTS: usize = 100;

/// Exclusive use of a folder, until the value is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    file: File,
    is_exclusive: bool,
}

/// Outcome of an attempt to lock a folder.
#[derive(Debug)]
pub enum Attempt {
    /// The folder is locked now.
    Locked(FolderLock),
    /// The lock is held by another process, or by another part of this one.
    Held(Holder),
}

impl FolderLock {
    /// Locks a folder, which is created when it is missing, and removes temporary files that killed processes left in it.
    /// `purpose` is a noun phrase for the message that others get.
    ///
    /// # Errors
    /// A folder that is in use, naming host, process and time; a folder that refuses new files.
    pub fn acquire(folder: &Path, purpose: &str) -> Result<Self> {
        match Self::attempt(folder, purpose)? {
            Attempt::Locked(lock) => Ok(lock),
            Attempt::Held(holder) => Err(holder.error(folder)),
        }
    }

    /// Locks a folder unless it is in use.
    ///
    /// # Errors
    /// A folder that refuses new files.
    pub fn attempt(folder: &Path, purpose: &str) -> Result<Attempt> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "cannot create the folder", e))?;
        let path = folder.join(LOCK_FILE);
        for _ in 0..ATTEMPTS {
            let file =
                open(&path).map_err(|e| Error::io(&path, "cannot create, check that its folder is writable", e))?;
            let is_exclusive = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Held(Holder::read(&path))),
                Err(TryLockError::Error(e)) if is_unsupported(&e) => false,
                Err(TryLockError::Error(e)) => return Err(Error::io(&path, "cannot lock", e)),
            };
            // The last holder may have removed the file between the two calls: then the lock is on a file without a name.
            if is_at(&file, &path) {
                let mut lock = Self { path, file, is_exclusive };
                lock.sign(purpose);
                // What killed processes left; whatever cannot be removed does no harm.
                let _ = remove_stale_temporaries(folder);
                return Ok(Attempt::Locked(lock));
            }
        }
        Err(Error::file(&path, "cannot be locked: other processes keep replacing it; give another folder"))
    }

    /// Locks a folder as soon as it is free. `held` hears of each new holder in between, and may give up by an error.
    ///
    /// # Errors
    /// That of `held`, and a folder that refuses new files.
    pub fn wait(folder: &Path, purpose: &str, held: &mut dyn FnMut(&Holder) -> Result<()>) -> Result<Self> {
        let mut last = None;
        loop {
            match Self::attempt(folder, purpose)? {
                Attempt::Locked(lock) => return Ok(lock),
                Attempt::Held(holder) if last.as_ref() == Some(&holder) => {}
                Attempt::Held(holder) => {
                    held(&holder)?;
                    last = Some(holder);
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether others are kept out. False on file systems without locks, some network file systems among them, where nobody
    /// can be.
    pub fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// Says in the file who holds the lock. That is for messages alone: a full disk is no reason to stop.
    fn sign(&mut self, purpose: &str) {
        let text = Holder::this_process(purpose).to_line();
        let _ = self.file.set_len(0);
        let _ = self.file.write_all(text.as_bytes());
        let _ = self.file.flush();
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // While the lock is still held: whoever opened the file before sees that it has no name any more.
        if self.is_exclusive && is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens the file without touching what it says.
fn open(path: &Path) -> std::io::Result<File> {
    match OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path) {
        // Another user's file can be locked all the same.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => File::open(path).map_err(|_| e),
        result => result,
    }
}

/// Whether the file system has no locks.
fn is_unsupported(error: &std::io::Error) -> bool {
    /// `ENOSYS`, `ENOLCK` and `EOPNOTSUPP` of Linux.
    const CODES: [i32; 3] = [38, 37, 95];
    error.kind() == ErrorKind::Unsupported
        || (cfg!(target_os = "linux") && error.raw_os_error().is_some_and(|code| CODES.contains(&code)))
}

/// Whether an open file is still the one of that name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether an open file is still the one of that name; elsewhere an open file keeps its name.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests;
