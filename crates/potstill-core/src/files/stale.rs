//! Temporary files of killed runs.
//!
//! A file under way is called `.potstill-*.tmp` and locked (advisory) by the process that writes it. The lock ends with
//! the process, however that ends: a temporary file that can be locked belongs to nobody.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Beginning of the names of temporary files.
pub(crate) const PREFIX: &str = ".potstill-";
/// Ending of the names of temporary files.
pub(crate) const SUFFIX: &str = ".tmp";

/// Removes temporary files that killed runs of potstill left in a folder, and returns how many there were.
///
/// Files that a living process still writes stay, as does everything with another name, in folders within, and what
/// cannot be locked or removed.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be listed.
pub fn remove_stale_temporaries(folder: &Path) -> Result<usize> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "cannot list", e))?;
    let ours = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
    let candidates = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(ours));
    let candidates = candidates.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    Ok(candidates.map(|entry| entry.path()).filter(is_removed).count())
}

fn is_removed(path: &PathBuf) -> bool {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
    // Removed under the lock: whoever made the file a moment ago notices, see `is_held`.
    file.try_lock().is_ok() && std::fs::remove_file(path).is_ok()
}

/// Locks a temporary file that was just made; false when a clean-up got hold of it first.
pub(crate) fn is_held(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Ok(()) => path.exists(),
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks: then nobody can lock it to remove it either.
        Err(TryLockError::Error(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::files::AtomicFile;

    #[test]
    fn only_what_nobody_writes_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [".potstill-abc.tmp", ".potstill-1.tmp", ".potstill-abc", "potstill-a.tmp", "a.tmp"] {
            std::fs::write(path(name), "left").unwrap();
        }
        std::fs::create_dir(path(".potstill-folder.tmp")).unwrap();
        let mut living = AtomicFile::create(&path("b")).unwrap();
        living.write_all(b"whole").unwrap();
        assert_eq!(remove_stale_temporaries(folder.path()).unwrap(), 2);
        assert_eq!(remove_stale_temporaries(folder.path()).unwrap(), 0);
        living.commit().unwrap();
        assert_eq!(std::fs::read(path("b")).unwrap(), b"whole");
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".potstill-abc", ".potstill-folder.tmp", "a.tmp", "b", "potstill-a.tmp"]);
        assert!(remove_stale_temporaries(&path("absent")).is_err());
    }

    /// Writers and clean-ups at the same time: no writer ever loses its file.
    #[test]
    fn clean_ups_leave_writers_alone() {
        let folder = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    remove_stale_temporaries(folder.path()).unwrap();
                }
            });
            for i in 0..200 {
                let path = folder.path().join(format!("{i}"));
                crate::files::write_atomically(&path, |w| w.write_all(b"whole")).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 200);
    }
}
