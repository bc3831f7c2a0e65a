//! Labelled systems that the models of a study are judged on, in sets with names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use potstill_core::{Error, Result};
use potstill_data::dataset::{Survey, Systems};
use potstill_data::io::LabelKeys;
use serde::Deserialize;

use super::within;
use crate::host::Host;

/// Name of the only set of a study whose file gives no names.
const ONLY: &str = "test";

/// Files of one set, or of several by their names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a list of files, or { name = [\"file\"] } for several sets")]
pub enum TestFiles {
    /// One set.
    One(Vec<PathBuf>),
    /// Several sets, which the table shows one after the other.
    Named(BTreeMap<String, Vec<PathBuf>>),
}

impl TestFiles {
    /// Every path, to be made relative to the working folder.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::One(files) => files.iter_mut().collect(),
            Self::Named(sets) => sets.values_mut().flatten().collect(),
        }
    }

    /// Whether a set has no file, or there is no set.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::One(files) => files.is_empty(),
            Self::Named(sets) => sets.is_empty() || sets.values().any(Vec::is_empty),
        }
    }

    /// Names and files of the sets.
    fn sets(&self) -> Vec<(&str, &[PathBuf])> {
        match self {
            Self::One(files) => vec![(ONLY, files)],
            Self::Named(sets) => sets.iter().map(|(name, files)| (name.as_str(), &files[..])).collect(),
        }
    }
}

/// One set of test systems.
#[derive(Debug)]
pub struct TestSet {
    /// Name in the table.
    pub name: String,
    /// Systems with labels.
    pub systems: Systems,
    /// Hash of structures and labels.
    pub(super) hash: String,
}

impl TestSet {
    /// Reads all sets.
    pub(super) fn read_all(files: &TestFiles, keys: &LabelKeys, host: &dyn Host) -> Result<Vec<Self>> {
        let read = |(name, files): (&str, &[PathBuf])| {
            let systems = host.systems(files, keys)?;
            if systems.is_empty() {
                return Err(Error::setting("test", format!("the files of {name} hold no system")));
            }
            let hash = Survey::of(&systems).map_err(within(name))?.content_hash;
            Ok(Self { name: name.to_owned(), systems, hash })
        };
        files.sets().into_iter().map(read).collect()
    }
}
