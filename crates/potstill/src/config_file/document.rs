//! Reading any TOML document, with `--set` and errors that name file, line and key.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::de::DeserializeOwned;
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Step, deserialize};
use super::settings;
use super::wording::explain;

/// Reads `text`, the contents of `path`, after changing settings.
///
/// # Errors
/// One line: file and line, or the setting; the key; what it is and what it may be.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str, changes: &[String]) -> Result<T> {
    let file: Table = toml::from_str(text).map_err(|error| syntax(path, text, &error))?;
    let mut table = file.clone();
    settings::apply(&mut table, changes)?;
    deserialize(&table).map_err(|fault| {
        // What the file says is judged without the settings: they may only have made it worse.
        let key = fault.key();
        match settings::deciding(changes, &key).filter(|_| !is_missing(&fault)) {
            Some(change) if settings::key(change) == key => anyhow!("--set {change}: {}", explain(&fault)),
            Some(change) => anyhow!("--set {change}: {key}: {}", explain(&fault)),
            None => {
                let separator = if key.is_empty() { "" } else { ": " };
                anyhow!("{}: {key}{separator}{}", place(path, text, &fault.path), explain(&fault))
            }
        }
    })
}

fn is_missing(fault: &Fault) -> bool {
    fault.complaint.starts_with("missing field")
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let place = match error.span() {
        Some(span) => format!("{}:{}", path.display(), line(text, span.start)),
        None => path.display().to_string(),
    };
    anyhow!("{place}: {}", error.message().replace('\n', " "))
}

/// File and, where the key stands in it, line.
fn place(path: &Path, text: &str, steps: &[Step]) -> String {
    match DeTable::parse(text).ok().and_then(|document| start(document.get_ref(), steps)) {
        Some(start) => format!("{}:{}", path.display(), line(text, start)),
        None => path.display().to_string(),
    }
}

fn line(text: &str, at: usize) -> usize {
    1 + text[..text.floor_char_boundary(at)].matches('\n').count()
}

/// Position of the last key of a path, or of the entry of an array after it.
fn start(table: &DeTable<'_>, steps: &[Step]) -> Option<usize> {
    let (Step::Key(first), rest) = steps.split_first()? else { return None };
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == first.as_str())?;
    let (mut start_of, mut value) = (key.span().start, value);
    let mut rest = rest;
    while let (DeValue::Array(items), Some((Step::Index(index), after))) = (value.get_ref(), rest.split_first()) {
        value = items.get(*index)?;
        start_of = value.span().start;
        rest = after;
    }
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => start(inner, rest),
        _ => Some(start_of),
    }
}
