//! A file of `torch.save`, of either kind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::layout::{Layout, argument};
use super::legacy;
use super::read::{Array, TensorRef};
use super::storage::{Place, StorageName};
use super::zip::Archive;
use crate::io::pickle::{Allowed, Pickle, Value};
use potstill_core::files::source::{FileSource, ReadAt};
use potstill_core::{Error, Result};

/// An open checkpoint: its values, and where the entries of its tensors lie.
pub struct TorchFile {
    path: PathBuf,
    source: Box<dyn ReadAt + Send + Sync>,
    pickle: Pickle<Vec<u8>>,
    storages: Storages,
}

/// Places of the storages, by key.
enum Storages {
    Zip { archive: Archive, prefix: String, big_endian: bool },
    Legacy(HashMap<String, Place>),
}

impl TorchFile {
    /// Opens a checkpoint and reads its pickle; no entry of any tensor is read.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::File`] when it is damaged or names classes other than those of
    /// [`allowed`](super::allowed).
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_source(Box::new(FileSource::open(path)?), path)
    }

    /// Like [`TorchFile::open`], from bytes that may lie in memory; `path` is what errors call them.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn from_source(source: Box<dyn ReadAt + Send + Sync>, path: &Path) -> Result<Self> {
        let (pickle, storages) = contents(&*source).map_err(|message| Error::file(path, message))?;
        Ok(Self { path: path.to_path_buf(), source, pickle, storages })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The object that was saved.
    pub fn root(&self) -> Value<'_> {
        self.pickle.root()
    }

    /// Every value of the pickle, wherever it stands.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.pickle.values()
    }

    /// Whether a value is a tensor or a parameter.
    pub fn is_tensor(value: Value<'_>) -> bool {
        Layout::is_tensor(value)
    }

    /// Finds the entries of a tensor and checks that they are there and, in a zip archive, undamaged: its storage is
    /// read for that, once.
    ///
    /// # Errors
    /// [`Error::File`] when the value is not a tensor, or its storage is absent, damaged or too short.
    pub fn tensor(&self, value: Value<'_>) -> Result<TensorRef> {
        self.storages.tensor(&*self.source, value).map_err(|message| Error::file(&self.path, message))
    }

    /// Reads the entries of a tensor of this file; needs the memory of the result.
    ///
    /// # Errors
    /// [`Error::File`] when the disk refuses.
    pub fn read(&self, tensor: &TensorRef) -> Result<Array> {
        tensor.read(&*self.source).map_err(|message| Error::file(&self.path, message))
    }

    /// All tensors directly in a dictionary, in its order, with their keys; other values are left out.
    ///
    /// # Errors
    /// As [`TorchFile::tensor`], naming the key.
    pub fn tensors(&self, dictionary: Value<'_>) -> Result<Vec<(String, TensorRef)>> {
        let tensors = dictionary.pairs().filter(|(_, value)| Self::is_tensor(*value));
        let named = tensors.map(|(key, value)| {
            let name = key.as_str().ok_or_else(|| format!("a tensor has {} as its name", key.describe()))?;
            let tensor = self.storages.tensor(&*self.source, value).map_err(|e| format!("`{name}`: {e}"))?;
            Ok((name.to_owned(), tensor))
        });
        named.collect::<Result<_, String>>().map_err(|message| Error::file(&self.path, message))
    }
}

fn contents(source: &(impl ReadAt + ?Sized)) -> Result<(Pickle<Vec<u8>>, Storages), String> {
    let start = source.bytes(0, source.size().min(64))?;
    if legacy::is_legacy(&start) {
        let legacy = legacy::parse_file(source, super::allowed)?;
        return Ok((legacy.pickle, Storages::Legacy(legacy.storages)));
    }
    if !start.starts_with(b"PK\x03\x04") {
        return Err("is not a file of torch.save: neither a zip archive nor the older kind".into());
    }
    zip_contents(source, super::allowed)
}

fn zip_contents(source: &(impl ReadAt + ?Sized), allowed: Allowed) -> Result<(Pickle<Vec<u8>>, Storages), String> {
    let archive = Archive::parse(source)?;
    let prefix = archive.prefix()?.to_owned();
    let entry = |name: &str| archive.find(source, &format!("{prefix}{name}"));
    let place = entry("data.pkl")?.ok_or("has no `data.pkl`")?;
    let pickle = Pickle::parse(source.bytes(place.start, place.length)?, 0, allowed)?;
    let big_endian = match entry("byteorder")? {
        Some(place) => source.bytes(place.start, place.length.min(16))?.starts_with(b"big"),
        None => false,
    };
    Ok((pickle, Storages::Zip { archive, prefix, big_endian }))
}

impl Storages {
    fn tensor(&self, source: &(impl ReadAt + ?Sized), value: Value<'_>) -> Result<TensorRef, String> {
        let layout = Layout::parse(value)?;
        let name = StorageName::parse(layout.storage)?;
        self.place(source, layout, &name)
    }

    /// A tensor whose storage has been named.
    fn place(
        &self,
        source: &(impl ReadAt + ?Sized),
        layout: Layout<'_>,
        name: &StorageName<'_>,
    ) -> Result<TensorRef, String> {
        let (place, big_endian) = match self {
            Self::Zip { archive, prefix, big_endian } => {
                (archive.find(source, &format!("{prefix}data/{}", name.key))?, *big_endian)
            }
            Self::Legacy(places) => (places.get(name.key).copied(), false),
        };
        let place = place.ok_or_else(|| format!("a tensor refers to storage `{}`, which the file lacks", name.key))?;
        let dtype = layout.dtype.unwrap_or(name.dtype);
        if layout.dtype.is_some_and(|d| !name.untyped && d != name.dtype) {
            return Err(format!("storage `{}` has entries of {:?}, its tensor of {dtype:?}", name.key, name.dtype));
        }
        TensorRef::new(layout, dtype, place.of(name)?, big_endian)
    }
}

/// A tensor inside an ordinary pickle, where its storage is a whole `torch.save` in bytes.
///
/// # Errors
/// A message about what is wrong with the tensor or its storage.
pub(crate) fn read_inline(value: Value<'_>) -> Result<Array, String> {
    let layout = Layout::parse(value)?;
    if layout.storage.class() != Some(("torch.storage", "_load_from_bytes")) {
        return Err(format!("a tensor's storage is {}", layout.storage.describe()));
    }
    let bytes = argument(layout.storage, 0)?;
    let bytes = bytes.as_bytes().ok_or_else(|| format!("a tensor's storage is {}", bytes.describe()))?;
    if bytes.starts_with(b"PK") {
        let (pickle, storages) = zip_contents(bytes, super::allowed)?;
        return storages.place(bytes, layout, &StorageName::parse(pickle.root())?)?.read(bytes);
    }
    let legacy = legacy::parse(bytes, bytes, super::allowed)?;
    let name = StorageName::parse(legacy.pickle.root())?;
    Storages::Legacy(legacy.storages).place(bytes, layout, &name)?.read(bytes)
}
