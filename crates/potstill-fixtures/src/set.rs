//! Files of the set of fixtures in use, and of the datasets.

use std::path::{Path, PathBuf};

use crate::places::{self, DATA_VARIABLE, LEFT_OUT};

/// Whether the set in use is a full one, not the part that ships.
pub fn is_full_set() -> bool {
    places::is_full_set(&places::fixtures())
}

/// A file or folder of the set, by its path in the set.
///
/// # Panics
/// When the set lacks it.
pub fn file(path: &str) -> PathBuf {
    existing(path).unwrap_or_else(|| panic!("the set of fixtures {} lacks {path}", places::fixtures().display()))
}

/// A file of the set; `None` where the set says that it leaves it out.
///
/// # Panics
/// When the set lacks it and does not say so.
pub fn optional(path: &str) -> Option<PathBuf> {
    existing(path).or_else(|| {
        assert!(leaves_out(path), "the set of fixtures {} lacks {path}", places::fixtures().display());
        None
    })
}

/// Names of a folder's cases, in order: its subfolders that have a `config.json`.
///
/// # Panics
/// When there are none.
pub fn cases(folder: &str) -> Vec<String> {
    let path = file(folder);
    let mut names = names(&path);
    names.retain(|name| path.join(name).join("config.json").is_file());
    assert!(!names.is_empty(), "{} has no cases", path.display());
    names
}

/// Files of a folder whose names end with `suffix`, in order.
///
/// # Panics
/// When there are none.
pub fn files(folder: &str, suffix: &str) -> Vec<PathBuf> {
    let path = file(folder);
    let mut names = names(&path);
    names.retain(|name| name.ends_with(suffix));
    assert!(!names.is_empty(), "{} has no file *{suffix}", path.display());
    names.into_iter().map(|name| path.join(name)).collect()
}

/// A file or folder of the large datasets.
///
/// # Panics
/// When they lack it. A test that reads them is marked with `needs_datasets`.
pub fn data(path: &str) -> PathBuf {
    let folder = places::datasets().unwrap_or_else(|| panic!("no datasets: set {DATA_VARIABLE}"));
    let found = folder.join(path);
    assert!(found.exists(), "the datasets {} lack {path}", folder.display());
    found
}

fn existing(path: &str) -> Option<PathBuf> {
    Some(places::fixtures().join(path)).filter(|found| found.exists())
}

fn leaves_out(path: &str) -> bool {
    let list = places::fixtures().join(LEFT_OUT);
    list.is_file() && crate::json(&list).as_array().is_some_and(|names| names.iter().any(|name| name == path))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}
