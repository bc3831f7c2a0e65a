//! Place of an index, and when it is made again.

use std::path::{Path, PathBuf};

use super::bytes::{Index, Stamp};
use crate::io::keys::LabelKeys;
use potstill_core::files::atomic::write_atomically;
use potstill_core::files::stale::remove_stale_temporaries;
use potstill_core::{Error, Result};

const ENDING: &str = "potstill-index";

/// Names of labels, folder and progress of an index.
pub struct IndexPlace<'a> {
    /// Names of labels.
    pub keys: &'a LabelKeys,
    /// Folder for indices that cannot lie beside their file; with `None`, such an index is made again every time.
    pub cache: Option<&'a Path>,
    /// Receiver of the number of systems that a first pass has read.
    pub progress: &'a dyn Fn(usize),
}

impl IndexPlace<'_> {
    /// Index of a file: the one that is there when it fits, else the one that `make` gives, which is then kept.
    ///
    /// # Errors
    /// Those of `make`; a cache folder that cannot be written.
    pub fn open_or_make(&self, path: &Path, make: impl FnOnce() -> Result<Index>) -> Result<Index> {
        let Self { keys, cache, .. } = *self;
        // Taken before the first pass: a change during that pass makes the index stale, as it should.
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let stamp = Stamp::new(&metadata, keys);
        let beside = beside(path, keys);
        let cached = cache.map(|folder| folder.join(cached_name(path, keys)));
        if let Some(index) = [Some(&beside), cached.as_ref()].into_iter().flatten().find_map(|p| read(p, &stamp)) {
            return Ok(index);
        }
        let index = make()?;
        let bytes = index.encode(&stamp).map_err(|e| Error::file(&beside, e.to_string()))?;
        // What killed processes left beside the data; whatever cannot be removed does no harm.
        let _ = path.parent().map(remove_stale_temporaries);
        let kept = write_atomically(&beside, |writer| writer.write_all(&bytes));
        // Without any other place for it, the index serves this once.
        if let (Err(_), Some(cached), Some(folder)) = (kept, cached, cache) {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "cannot create the folder", e))?;
            write_atomically(&cached, |writer| writer.write_all(&bytes))?;
        }
        Ok(index)
    }
}

fn read(path: &Path, stamp: &Stamp) -> Option<Index> {
    Index::decode(&std::fs::read(path).ok()?, stamp)
}

/// `train.lmdb.potstill-index`; with names of labels other than the usual, a mark of them before the ending.
fn beside(path: &Path, keys: &LabelKeys) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    if *keys != LabelKeys::default() {
        name.push(format!(".{}", mark(format!("{keys:?}").as_bytes())));
    }
    name.push(format!(".{ENDING}"));
    path.with_file_name(name)
}

/// Name of an index in the cache folder: that of [`beside`] with a mark of the file's folder.
fn cached_name(path: &Path, keys: &LabelKeys) -> PathBuf {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mark = mark(format!("{}{keys:?}", whole.display()).as_bytes());
    PathBuf::from(format!("{name}.{mark}.{ENDING}"))
}

fn mark(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().chars().take(8).collect()
}
