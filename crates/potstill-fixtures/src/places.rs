//! Folders of fixtures and datasets: from the environment, beside the repository, or shipped with it.

use std::path::{Path, PathBuf};

/// Environment variable that points to a set of fixtures.
pub const FIXTURES_VARIABLE: &str = "POTSTILL_FIXTURES";

/// Environment variable that points to the large datasets.
pub const DATA_VARIABLE: &str = "POTSTILL_DATA";

/// List of the files that a set leaves out; a full set has none.
pub const LEFT_OUT: &str = "left_out.json";

/// Root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folder of fixtures: `POTSTILL_FIXTURES`, else `../shared/fixtures` beside the repository, else the shipped part.
///
/// A relative `POTSTILL_FIXTURES` starts at the root of the workspace.
pub fn fixtures() -> PathBuf {
    let beside = workspace().join("../shared/fixtures");
    let absent = || if beside.is_dir() { beside } else { workspace().join("testdata/fixtures") };
    from_environment(FIXTURES_VARIABLE).unwrap_or_else(absent)
}

/// Whether a folder of fixtures is a full set.
pub fn is_full_set(folder: &Path) -> bool {
    !folder.join(LEFT_OUT).exists()
}

/// Folder of datasets: `POTSTILL_DATA`, else `../shared/data` beside the repository where that exists.
pub fn datasets() -> Option<PathBuf> {
    let beside = workspace().join("../shared/data");
    from_environment(DATA_VARIABLE).or_else(|| beside.is_dir().then_some(beside))
}

fn from_environment(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).filter(|value| !value.is_empty())?;
    Some(workspace().join(folder))
}
