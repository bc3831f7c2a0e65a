//! Reading systems for a command, and saying which labels were taken.

use std::path::{Path, PathBuf};

use anyhow::Result;
use potstill_core::System;
use potstill_core::io::{ChosenKeys, LabelKeys, read};

use crate::args::KeyArgs;
use crate::progress::Progress;

impl From<&KeyArgs> for LabelKeys {
    fn from(args: &KeyArgs) -> Self {
        Self { energy: args.energy_key.clone(), forces: args.forces_key.clone(), stress: args.stress_key.clone() }
    }
}

/// All systems of some files, one after the other; says on standard error what was read.
pub fn systems(files: &[PathBuf], keys: &LabelKeys) -> Result<Vec<System>> {
    let mut all = Vec::new();
    for file in files {
        let before = all.len();
        let mut reader = read(file, keys)?;
        let progress = Progress::counter(&format!("reading {}", file.display()));
        for system in &mut reader {
            all.push(system?);
            progress.set((all.len() - before) as u64);
        }
        progress.finish();
        eprintln!("{}: {} systems, {}", file.display(), all.len() - before, describe(reader.chosen()));
        if all.len() == before {
            anyhow::bail!("{}: holds no systems", file.display());
        }
    }
    Ok(all)
}

/// Which labels were taken under which names.
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
