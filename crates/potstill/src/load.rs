//! Reading systems for a command, and saying which labels were taken.

use std::path::{Path, PathBuf};

use anyhow::Result;
use potstill_core::System;
use potstill_data::dataset::Systems;
use potstill_data::io::{ChosenKeys, LabelKeys, StoredFile, read, stored};
use potstill_train::config::DataConfig;
use potstill_train::run::Data;

use crate::args::KeyArgs;
use crate::progress::Progress;
use crate::world;

/// Largest estimated size in bytes of datasets that are read into memory.
const IN_MEMORY_BYTES: u64 = 4 << 30;

impl From<&KeyArgs> for LabelKeys {
    fn from(args: &KeyArgs) -> Self {
        Self { energy: args.energy_key.clone(), forces: args.forces_key.clone(), stress: args.stress_key.clone() }
    }
}

/// Reads the datasets that a configuration names.
pub fn load_data(data: &DataConfig) -> Result<Data> {
    let keys = LabelKeys { energy: data.energy_key.clone(), forces: data.forces_key.clone(), stress: None };
    let train = open(&data.train, &keys, data.in_memory, data.max_train_systems)?;
    let validation = match data.validation.is_empty() {
        true => Systems::default(),
        false => open(&data.validation, &keys, data.in_memory, None)?,
    };
    let synthetic = match data.synthetic.is_empty() {
        true => Systems::default(),
        false => open(&data.synthetic, &keys, data.in_memory, None)?,
    };
    Ok(Data { train, synthetic, validation })
}

/// All systems of some files, one after the other; says on standard error what was read.
pub fn systems(files: &[PathBuf], keys: &LabelKeys) -> Result<Vec<System>> {
    let mut all = Vec::new();
    each(files, keys, &mut |system| {
        all.push(system);
        Ok(())
    })?;
    Ok(all)
}

fn first_systems(files: &[PathBuf], keys: &LabelKeys, limit: usize) -> Result<Systems> {
    let mut all = Vec::new();
    let mut of_file: Vec<(PathBuf, usize)> = Vec::new();
    first_each(files, keys, limit, &mut |file, index, system| {
        if index == 0 {
            of_file.push((file.to_owned(), 0));
        }
        if let Some((_, n_systems)) = of_file.last_mut() {
            *n_systems += 1;
        }
        all.push(system);
        Ok(())
    })?;
    Ok(Systems::from(all).with_files(of_file))
}

/// Reads some files from start to end, one system at a time; says on standard error what was read.
pub fn each(
    files: &[PathBuf],
    keys: &LabelKeys,
    take: &mut dyn FnMut(System) -> potstill_core::Result<()>,
) -> Result<()> {
    each_placed(files, keys, &mut |_, _, system| take(system))
}

/// Takes a system with its file and its index there.
pub type TakePlaced<'a> = dyn FnMut(&Path, usize, System) -> potstill_core::Result<()> + 'a;

/// As [`each`], with the file and the index of each system.
pub fn each_placed(files: &[PathBuf], keys: &LabelKeys, take: &mut TakePlaced<'_>) -> Result<()> {
    first_each(files, keys, usize::MAX, take)
}

/// As [`each_placed`], for the first `limit` systems.
fn first_each(files: &[PathBuf], keys: &LabelKeys, limit: usize, take: &mut TakePlaced<'_>) -> Result<()> {
    let mut left = limit;
    for file in files {
        if left == 0 {
            break;
        }
        let mut n_systems = 0_u64;
        let mut reader = read(file, keys)?;
        let progress = Progress::counter(&format!("reading {}", file.display()));
        for system in reader.by_ref().take(left) {
            let index = n_systems as usize;
            take(file, index, system?).map_err(|error| error.located(&|_| Some((file.as_path(), index))))?;
            n_systems += 1;
            left -= 1;
            progress.set(n_systems);
        }
        progress.finish();
        say!("{}: {n_systems} systems, {}", file.display(), describe(reader.chosen()));
        tell_ignored(file, reader.left_out());
        if n_systems == 0 {
            anyhow::bail!("{}: holds no systems", file.display());
        }
    }
    Ok(())
}

/// The first `limit` systems of some files, one after the other, in memory or left in the files; says on standard error what
/// was found.
///
/// Without `in_memory`, they stay in the files when memory would not hold them and their graphs with ease, and the files
/// allow it.
pub fn open(files: &[PathBuf], keys: &LabelKeys, in_memory: Option<bool>, limit: Option<usize>) -> Result<Systems> {
    let limit = limit.unwrap_or(usize::MAX);
    let in_memory = match in_memory {
        Some(wanted) => wanted,
        None => fits_memory(files)?,
    };
    if in_memory {
        return first_systems(files, keys, limit);
    }
    // Rank 0 makes the indices, then the others read them.
    let files = world::ranks().after_the_first(|| stored_files(files, keys))?;
    Ok(Systems::stored(files).truncated(limit))
}

/// Files whose systems stay there, with their indices, found or made.
fn stored_files(files: &[PathBuf], keys: &LabelKeys) -> Result<Vec<StoredFile>> {
    let mut all = Vec::new();
    for path in files {
        for file in stored::expand(path)? {
            let progress = Progress::counter(&format!("indexing {}", file.display()));
            let opened = StoredFile::open(&file, keys, cache_folder().as_deref(), &|done| progress.set(done as u64))?;
            progress.finish();
            let labels = describe(opened.chosen());
            say!("{}: {} systems, {labels}; left on disk", file.display(), opened.len());
            if opened.is_empty() {
                anyhow::bail!("{}: holds no systems", file.display());
            }
            all.push(opened);
        }
    }
    Ok(all)
}

fn fits_memory(files: &[PathBuf]) -> potstill_core::Result<bool> {
    let (mut bytes, mut must) = (0_u64, false);
    for file in files {
        bytes = bytes.saturating_add(stored::estimated_bytes(file)?);
        must |= !stored::is_stored(file)?;
    }
    Ok(must || bytes <= IN_MEMORY_BYTES)
}

/// Where indices lie whose files are in folders that cannot be written: the user's cache.
fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    Some(cache?.join("potstill"))
}

/// Says on standard error which parts of a file no system can hold.
pub fn tell_ignored(file: &Path, names: &[String]) {
    if !names.is_empty() {
        say!("{}: not read, as of no known shape or type: {}", file.display(), names.join(", "));
    }
}

/// Describes the labels that were taken, and their names.
fn describe(chosen: &ChosenKeys) -> String {
    let part = |what: &str, key: &Option<String>, others: &[String]| match key {
        None => format!("no {what}"),
        Some(key) if others.is_empty() => format!("{what} from `{key}`"),
        Some(key) => format!("{what} from `{key}` (not from `{}`)", others.join("`, `")),
    };
    let energies = part("energy", &chosen.energy, &chosen.other_energies);
    let forces = part("forces", &chosen.forces, &chosen.other_forces);
    match &chosen.stress {
        Some(key) => format!("{energies}, {forces}, stress from `{key}`"),
        None => format!("{energies}, {forces}"),
    }
}

/// Makes a path of a configuration file relative to that file.
pub fn beside(config: &Path, path: &Path) -> PathBuf {
    config.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}
