//! The model file: one `.safetensors` whose metadata holds a versioned JSON header.
//!
//! Nothing of a teacher, a projection or an optimiser is in it: a student's file is exactly as large as that of the
//! same network trained alone. Reading executes nothing.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::{Header, Weights};
use crate::files::checksum;
use crate::{Error, Result};

/// Key of the header in the file's metadata.
pub(super) const HEADER_KEY: &str = "potstill";

/// A model file in memory, its header read and its checksum verified.
#[derive(Debug, Clone)]
pub struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
    header: Header,
}

impl ModelFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// A missing, truncated, damaged or foreign file, a newer format, a header that is out of bounds or describes a network which
    /// could not lie in the file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let header = read_header(path, &bytes)?;
        checksum::verify(path, &bytes)?;
        let file = Self { path: path.to_owned(), bytes, header };
        file.tensors()?;
        file.check_size()?;
        Ok(file)
    }

    /// Header of the model.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Path that the file was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 hash of the file, hexadecimal.
    pub fn hash(&self) -> String {
        blake3::hash(&self.bytes).to_hex().to_string()
    }

    /// Weights, to be taken one by one.
    ///
    /// # Errors
    /// Tensors that overlap or leave the file; [`ModelFile::read`] lets none through.
    pub fn weights(&self) -> Result<Weights<'_>> {
        Ok(Weights::new(&self.path, self.tensors()?))
    }

    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|e| broken(&self.path, &e))
    }

    /// Refuses a header whose network could not lie in the file, before anything of its size is allocated.
    fn check_size(&self) -> Result<()> {
        let (n_parameters, n_bytes) = (self.header.model.n_parameters(), self.bytes.len());
        // A file that lacks a few weights shall be told so by their names.
        if n_parameters <= n_bytes as f64 + 1e6 {
            return Ok(());
        }
        let message = format!("header: a network of {n_parameters:.0} weights does not lie in {n_bytes} bytes");
        Err(Error::file(&self.path, message))
    }
}

impl Header {
    /// Reads the header of a model file.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let header = read_header(path, &bytes)?;
        checksum::verify(path, &bytes)?;
        Ok(header)
    }
}

fn broken(path: &Path, error: &safetensors::SafeTensorError) -> Error {
    Error::file(path, format!("not a complete safetensors file ({error}); copy it again or use an older checkpoint"))
}

fn read_header(path: &Path, bytes: &[u8]) -> Result<Header> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| broken(path, &e))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(HEADER_KEY)).ok_or_else(|| {
        Error::file(path, "no potstill header in its metadata: give a model that `potstill train` or `distill` wrote")
    })?;
    Header::from_json(text).map_err(|message| Error::file(path, message))
}
