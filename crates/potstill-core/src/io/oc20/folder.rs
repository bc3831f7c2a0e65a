//! Several files one after the other.

use std::path::{Path, PathBuf};

use super::Oc20Lmdb;
use crate::io::keys::{ChosenKeys, LabelKeys};
use crate::{Error, Result, System};

/// The LMDB files of a folder in the order of their names, or the file itself.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read, [`Error::File`] when it holds none.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let fail = |e| Error::io(path, "cannot read", e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        if is_lmdb(&file) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Error::file(path, "the folder holds no .lmdb file"));
    }
    files.sort_unstable();
    Ok(files)
}

fn is_lmdb(file: &Path) -> bool {
    let by_extension = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("lmdb"));
    file.is_file() && (by_extension || file.file_name().is_some_and(|name| name == "data.mdb"))
}

/// Systems of an LMDB file or of a folder of them, one after the other; ends after the first error.
///
/// One file is open at a time, and one system in memory.
pub struct Oc20Reader {
    keys: LabelKeys,
    chosen: ChosenKeys,
    /// Files still to come, the next one last.
    waiting: Vec<PathBuf>,
    /// The file that is being read, and the system that is next.
    current: Option<(Oc20Lmdb, usize)>,
}

impl Oc20Reader {
    /// Opens a file or folder; the first file is opened at once.
    ///
    /// # Errors
    /// Those of [`files`] and [`Oc20Lmdb::open`].
    pub fn open(path: &Path, keys: &LabelKeys) -> Result<Self> {
        let mut waiting = files(path)?;
        waiting.reverse();
        let current = waiting.pop().map(|first| Oc20Lmdb::open(&first)).transpose()?.map(|file| (file, 0));
        Ok(Self { keys: keys.clone(), chosen: ChosenKeys::default(), waiting, current })
    }

    /// Keys under which labels were found so far.
    pub fn chosen(&self) -> &ChosenKeys {
        &self.chosen
    }

    fn advance(&mut self) -> Result<Option<System>> {
        loop {
            let Some((file, next)) = &mut self.current else { return Ok(None) };
            if *next < file.len() {
                let system = file.get_labelled(*next, &self.keys, &mut self.chosen);
                *next += 1;
                return system.map(Some);
            }
            self.current = self.waiting.pop().map(|path| Oc20Lmdb::open(&path)).transpose()?.map(|file| (file, 0));
        }
    }
}

impl Iterator for Oc20Reader {
    type Item = Result<System>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.current = None;
            self.waiting.clear();
        }
        next.transpose()
    }
}
