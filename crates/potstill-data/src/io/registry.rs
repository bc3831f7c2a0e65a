//! Registry of file formats.
//!
//! A format is a folder beside this file and one line in `FORMATS`.

use std::path::Path;

use potstill_core::{Error, Result};

use super::Kind;
use super::format::Format;

/// Formats by name of file; the first that claims a file reads it.
static FORMATS: [&dyn Format; 3] = [&super::extxyz::Extxyz, &super::npz::Npz, &super::oc20::Oc20];

/// Format of a file, by its name.
///
/// # Errors
/// [`Error::File`] with the known endings when no format claims it.
pub fn format_of(path: &Path) -> Result<&'static dyn Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    FORMATS.into_iter().find(|format| format.claims(path, &name)).ok_or_else(|| {
        let endings = FORMATS.map(Format::endings);
        let [first @ .., last] = &endings;
        let known = format!("{} or {last}", first.join(", "));
        Error::file(path, format!("unknown file format; the name should end in {known}"))
    })
}

impl Kind {
    /// Kind of a file of systems that is to be written, by its name.
    ///
    /// # Errors
    /// [`Error::File`] for a name of no format that is written.
    pub fn of_systems(path: &Path) -> Result<Self> {
        let format = format_of(path)?;
        format.kind().ok_or_else(|| format.only_read(path))
    }
}
