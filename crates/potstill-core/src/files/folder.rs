//! The folder of a file, and whether a file may be replaced.

use std::path::Path;

use crate::{Error, Result};

/// Refuses a file that its owner protected; renaming over it would get round that.
pub fn check_writable(path: &Path, old: &std::fs::Metadata) -> Result<()> {
    // The superuser may open anything: the mode says what was meant.
    let protected = old.permissions().readonly()
        || std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied);
    match protected {
        true => Err(Error::file(path, "is read-only and stays as it is; give another name, or make it writable")),
        false => Ok(()),
    }
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
