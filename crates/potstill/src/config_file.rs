//! Reading a TOML configuration, with `--set` and helpful errors.

pub mod document;
mod fault;
mod settings;
mod wording;

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use potstill_core::Error;
use potstill_train::config::Config;

use crate::load::beside;

/// Reads a configuration, applies `key=value` settings, makes its paths relative to the working folder.
///
/// # Errors
/// One line with file, line and key; for an unknown key the nearest known one.
pub fn read(path: &Path, settings: &[String]) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot open", path.display()))?;
    let mut config: Config = document::parse(path, &text, settings)?;
    let data = &mut config.data;
    for file in data.train.iter_mut().chain(&mut data.validation).chain(&mut data.synthetic) {
        *file = beside(path, file);
    }
    config.training.start_from = config.training.start_from.as_ref().map(|file| beside(path, file));
    if let Some(distill) = &mut config.distill {
        distill.teacher.paths_mut().iter_mut().for_each(|file| *file = beside(path, file));
        let rounds = distill.rounds.iter_mut().flat_map(|rounds| rounds.seeds.iter_mut().chain(&mut rounds.test));
        rounds.for_each(|file| *file = beside(path, file));
        distill.cache = distill.cache.as_ref().map(|cache| beside(path, cache));
    }
    config.validate().map_err(|error| match &error {
        Error::Setting { key, .. } if settings::deciding(settings, key).is_some() => anyhow!("--set {error}"),
        _ => anyhow!("{}: {error}", path.display()),
    })?;
    Ok(config)
}

#[cfg(test)]
mod tests;
