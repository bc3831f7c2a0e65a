//! Several files one after the other.

use std::path::{Path, PathBuf};

use super::Oc20Lmdb;
use super::raw::{RawFile, text_beside};
use crate::io::keys::{ChosenKeys, LabelKeys};
use potstill_core::{Error, Result, System};

/// The LMDB files of a folder in the order of their names, or the file itself; of a folder without any, the files of
/// systems that have a text of reference energies beside them.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read, [`Error::File`] when it holds neither.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let fail = |e| Error::io(path, "cannot read", e);
    let (mut files, mut raw) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        if is_lmdb(&file) {
            files.push(file);
        } else if text_beside(&file).is_some() {
            raw.push(file);
        }
    }
    if files.is_empty() {
        files = raw;
    }
    if files.is_empty() {
        return Err(Error::file(path, "the folder holds no .lmdb file, and no .extxyz.xz with a .txt beside it"));
    }
    files.sort_unstable();
    Ok(files)
}

fn is_lmdb(file: &Path) -> bool {
    let by_extension = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("lmdb"));
    file.is_file() && (by_extension || file.file_name().is_some_and(|name| name == "data.mdb"))
}

/// A file that is being read.
enum Current {
    /// The file, and the system that is next.
    Lmdb(Oc20Lmdb, usize),
    Raw(Box<RawFile>),
}

impl Current {
    fn open(path: &Path, keys: &LabelKeys) -> Result<Self> {
        if is_lmdb(path) || !path.is_file() {
            return Ok(Self::Lmdb(Oc20Lmdb::open(path)?, 0));
        }
        Ok(Self::Raw(Box::new(RawFile::open(path, keys)?)))
    }

    fn next(&mut self, keys: &LabelKeys, chosen: &mut ChosenKeys) -> Result<Option<System>> {
        match self {
            Self::Lmdb(file, next) if *next < file.len() => {
                *next += 1;
                file.get_labelled(*next - 1, keys, chosen).map(Some)
            }
            Self::Lmdb(..) => Ok(None),
            Self::Raw(file) => {
                let system = file.next_system()?;
                *chosen = file.chosen().clone();
                Ok(system)
            }
        }
    }
}

/// Systems of an LMDB file, or of a folder of LMDB files or of the raw download, one after the other; ends after the first
/// error.
///
/// One file is open at a time, and one system in memory.
pub struct Oc20Reader {
    keys: LabelKeys,
    chosen: ChosenKeys,
    /// Files still to come, the next one last.
    waiting: Vec<PathBuf>,
    current: Option<Current>,
}

impl Oc20Reader {
    /// Opens a file or folder; the first file is opened at once.
    ///
    /// # Errors
    /// Those of [`files`], [`Oc20Lmdb::open`] and [`RawFile::open`].
    pub fn open(path: &Path, keys: &LabelKeys) -> Result<Self> {
        let mut waiting = files(path)?;
        waiting.reverse();
        let current = waiting.pop().map(|first| Current::open(&first, keys)).transpose()?;
        Ok(Self { keys: keys.clone(), chosen: ChosenKeys::default(), waiting, current })
    }

    /// Keys under which labels were found so far.
    pub fn chosen(&self) -> &ChosenKeys {
        &self.chosen
    }

    fn advance(&mut self) -> Result<Option<System>> {
        loop {
            let Some(file) = &mut self.current else { return Ok(None) };
            if let Some(system) = file.next(&self.keys, &mut self.chosen)? {
                return Ok(Some(system));
            }
            self.current = self.waiting.pop().map(|path| Current::open(&path, &self.keys)).transpose()?;
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
