//! Files that appear whole or not at all.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::folder::{check_writable, folder_of};
use super::stale;
use crate::{Error, Result};

/// Writes `path` through `write`: the old file stays until the new one is complete and on disk.
///
/// The bytes go to a temporary file in the same folder, which is flushed, synced and renamed over `path`; then the
/// folder is synced, too.
///
/// # Errors
/// [`Error::File`] for a read-only file, [`Error::Io`] naming `path`; the temporary file is removed and an old file at
/// `path` is untouched.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file).map_err(|e| write_error(path, e))?;
    file.commit()
}

/// A buffered file that takes its final name only on [`AtomicFile::commit`]; dropped before that, it vanishes.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// A temporary file, and the name it will take.
    Temporary(BufWriter<Sink>, PathBuf),
    /// A pipe or device such as `/dev/stdout`, which cannot be renamed over.
    Device(BufWriter<std::fs::File>),
}

impl AtomicFile {
    /// Opens a temporary file beside `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder is missing or refuses new files, [`Error::File`] when the old file is read-only.
    pub fn create(path: &Path) -> Result<Self> {
        let fail = |e| Error::io(path, "cannot create, check that its folder exists and is writable", e);
        // Through a symbolic link, the file that it points to is the one to replace.
        let name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let old = std::fs::metadata(&name).ok();
        if old.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            return Err(fail(ErrorKind::IsADirectory.into()));
        }
        if let Some(old) = old.as_ref().filter(|old| old.is_file()) {
            check_writable(path, old)?;
        }
        let target = if old.as_ref().is_some_and(|m| !m.is_file()) {
            Target::Device(BufWriter::new(std::fs::OpenOptions::new().write(true).open(&name).map_err(fail)?))
        } else {
            Target::Temporary(BufWriter::new(Sink(temporary_beside(&name, old).map_err(fail)?)), name)
        };
        Ok(Self { path: path.to_path_buf(), target })
    }

    /// Name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes, syncs and renames.
    ///
    /// # Errors
    /// [`Error::Io`] naming the final path; the temporary file is removed.
    pub fn commit(self) -> Result<()> {
        let Self { path, target } = self;
        match target {
            Target::Device(mut file) => file.flush().map_err(|e| write_error(&path, e)),
            Target::Temporary(file, name) => persist(file, &name).map_err(|e| write_error(&path, e)),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.target {
            Target::Temporary(file, _) => file.write(bytes),
            Target::Device(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.target {
            Target::Temporary(file, _) => file.flush(),
            Target::Device(file) => file.flush(),
        }
    }
}

/// [`Error::Io`] for a failed write, with advice when the disk is full.
pub fn write_error(path: &Path, error: std::io::Error) -> Error {
    let doing = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "cannot write, free some space and try again",
        _ => "cannot write",
    };
    Error::io(path, doing, error)
}

/// Times that a new temporary file is made because a clean-up took the last one.
const ATTEMPTS: usize = 100;

fn temporary_beside(name: &Path, old: Option<std::fs::Metadata>) -> std::io::Result<NamedTempFile> {
    step()?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(stale::PREFIX).suffix(stale::SUFFIX);
    // Temporary files are private by default; a result file gets the usual mode, or that of the file it replaces.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(name))?;
    for _ in 0..ATTEMPTS {
        if stale::is_held(file.as_file(), file.path()) {
            break;
        }
        file = builder.tempfile_in(folder_of(name))?;
    }
    if let Some(old) = old {
        file.as_file().set_permissions(old.permissions())?;
    }
    Ok(file)
}

fn persist(file: BufWriter<Sink>, name: &Path) -> std::io::Result<()> {
    let Sink(file) = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    step()?;
    file.as_file().sync_all()?;
    step()?;
    file.persist(name).map_err(|e| e.error)?;
    step()?;
    sync_folder(folder_of(name))
}

/// Makes a new name in a folder last, where the file system can.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Ok(folder) = std::fs::File::open(folder) {
        return match folder.sync_all() {
            Err(e) if !matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Err(e),
            _ => Ok(()),
        };
    }
    Ok(())
}

/// The temporary file, as the buffer in front of it sees it.
#[derive(Debug)]
struct Sink(NamedTempFile);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        #[cfg(any(test, feature = "faults"))]
        let bytes = faults::before_write(bytes)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A place between two calls of the system, where tests fail or end.
#[cfg(not(any(test, feature = "faults")))]
fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(any(test, feature = "faults"))]
use faults::step;

#[cfg(any(test, feature = "faults"))]
pub mod faults;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn writes_and_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        write_atomically(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn failure_keeps_the_old_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let full = write_atomically(&path, |w| {
            w.write_all(&[0; 100_000])?;
            Err(ErrorKind::StorageFull.into())
        });
        let text = full.unwrap_err().to_string();
        assert!(text.starts_with(&format!("{}: cannot write, free some space", path.display())), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn missing_folder_is_named() {
        let error = write_atomically(Path::new("/no/such/folder/x"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.starts_with("/no/such/folder/x: cannot create, check that its folder exists"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_says_so() {
        let error = write_atomically(Path::new("/dev/full"), |w| w.write_all(&[0; 100_000])).unwrap_err().to_string();
        assert!(error.contains("free some space") && error.contains("No space left"), "{error}");
    }
}
