//! An LMDB file of OC20.

use std::path::Path;

use super::record;
use crate::io::keys::{ChosenKeys, LabelKeys};
use crate::io::lmdb::Lmdb;
use potstill_core::{Error, Result, System};

/// An open file, from which any system can be read at once; nothing is kept in memory.
pub struct Oc20Lmdb {
    lmdb: Lmdb,
    numbers: Numbers,
}

/// Keys of the systems.
enum Numbers {
    /// `0` to one less than this.
    UpTo(usize),
    /// These, since some are missing.
    Some(Vec<u64>),
}

impl Oc20Lmdb {
    /// Opens a file. Without the key `length`, its keys are counted, which reads every leaf of the tree once.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::File`] when it is damaged or has no systems' keys.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_lmdb(Lmdb::open(path)?)
    }

    /// Like [`Oc20Lmdb::open`], for an LMDB that is open already.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn from_lmdb(lmdb: Lmdb) -> Result<Self> {
        let numbers = match lmdb.get(b"length")? {
            Some(bytes) => stated(&lmdb, &bytes)?,
            None => counted(&lmdb)?,
        };
        Ok(Self { lmdb, numbers })
    }

    /// A file whose systems are known to lie under these keys: nothing is counted.
    pub(crate) fn with_keys(lmdb: Lmdb, keys: Vec<u64>) -> Self {
        let numbers = match keys.iter().enumerate().all(|(i, &key)| key == i as u64) {
            true => Numbers::UpTo(keys.len()),
            false => Numbers::Some(keys),
        };
        Self { lmdb, numbers }
    }

    /// Number of systems.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::UpTo(n) => *n,
            Numbers::Some(keys) => keys.len(),
        }
    }

    /// Whether there is no system.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        self.lmdb.path()
    }

    /// System `i`, with labels under their usual names.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such system, or it is damaged.
    pub fn get(&self, i: usize) -> Result<System> {
        self.get_labelled(i, &LabelKeys::default(), &mut ChosenKeys::default())
    }

    /// System `i`, with labels under the names of `keys`, or else of `chosen`, which is filled in.
    ///
    /// # Errors
    /// As [`Oc20Lmdb::get`]; also when a label of `keys` is absent.
    pub fn get_labelled(&self, i: usize, keys: &LabelKeys, chosen: &mut ChosenKeys) -> Result<System> {
        let message = || Error::file(self.path(), format!("has {} systems; there is no system {i}", self.len()));
        self.get_key(self.key(i).ok_or_else(message)?, i, keys, chosen)
    }

    /// Key of system `i`.
    pub(crate) fn key(&self, i: usize) -> Option<u64> {
        match &self.numbers {
            Numbers::UpTo(n) => (i < *n).then_some(i as u64),
            Numbers::Some(keys) => keys.get(i).copied(),
        }
    }

    /// The system under a key, which messages call system `i`.
    fn get_key(&self, key: u64, i: usize, keys: &LabelKeys, chosen: &mut ChosenKeys) -> Result<System> {
        let fail = |message: String| Error::file(self.path(), message);
        let bytes = self.lmdb.get(key.to_string().as_bytes())?;
        let bytes = bytes.ok_or_else(|| fail(format!("key `{key}` is absent, but `length` is {}", self.len())))?;
        record::system(&bytes, keys, chosen).map_err(|message| fail(format!("system {i}: {message}")))
    }

    /// All systems, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = Result<System>> {
        (0..self.len()).map(|i| self.get(i))
    }
}

fn stated(lmdb: &Lmdb, bytes: &[u8]) -> Result<Numbers> {
    let length = record::length(bytes).map_err(|message| Error::file(lmdb.path(), message))?;
    if length > lmdb.n_entries() {
        let message = format!("`length` is {length}, but the file has {} keys", lmdb.n_entries());
        return Err(Error::file(lmdb.path(), message));
    }
    Ok(Numbers::UpTo(length as usize))
}

fn counted(lmdb: &Lmdb) -> Result<Numbers> {
    let (mut numbers, mut largest) = (Vec::new(), 0_u64);
    for key in lmdb.keys() {
        let key = key?;
        let number = std::str::from_utf8(&key).ok().and_then(|text| text.parse::<u64>().ok());
        // A number written otherwise (`007`) would not be found again.
        if let Some(number) = number.filter(|n| n.to_string().as_bytes() == key) {
            largest = largest.max(number);
            numbers.push(number);
        }
    }
    if numbers.is_empty() {
        let message = "holds no systems: none of its keys is a number, as those of OC20 are";
        return Err(Error::file(lmdb.path(), message));
    }
    // Keys differ from one another, so they are 0, 1, … without a gap when the largest says so.
    if largest == numbers.len() as u64 - 1 {
        return Ok(Numbers::UpTo(numbers.len()));
    }
    numbers.sort_unstable();
    Ok(Numbers::Some(numbers))
}
