//! `--set KEY=VALUE`

use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

/// Changes settings of a document.
///
/// # Errors
/// One that is not of the form KEY=VALUE; a key within something that is no section.
pub fn apply(table: &mut Table, settings: &[String]) -> Result<()> {
    for setting in settings {
        let (key, value) = split(setting).ok_or_else(|| anyhow!("--set {setting}: expected KEY=VALUE"))?;
        set(table, key, value).with_context(|| format!("--set {setting}"))?;
        detail!("--set {setting}");
    }
    Ok(())
}

/// The last setting that decides about `key`, or about something in it; the whole argument.
pub fn deciding<'a>(settings: &'a [String], key: &str) -> Option<&'a str> {
    let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    let decides = |set: &str| split(set).is_some_and(|(own, _)| own == key || within(key, own) || within(own, key));
    settings.iter().rev().map(String::as_str).find(|set| decides(set))
}

/// Key of a setting.
pub fn key(setting: &str) -> &str {
    split(setting).map_or(setting, |(key, _)| key)
}

fn split(setting: &str) -> Option<(&str, &str)> {
    setting.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
}

/// Parts of a key, at most: each is a table in a table, and thousands of them would not fit on the stack.
const DEEPEST: usize = 16;

/// Sets `a.b.c`; a value that is not TOML is taken as text. `a.0.b` counts entries of an array.
fn set(table: &mut Table, key: &str, value: &str) -> Result<()> {
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let parts: Vec<&str> = key.split('.').collect();
    if parts.len() > DEEPEST {
        bail!("a key of {} parts is none; sections are nested {DEEPEST} deep at most", parts.len());
    }
    if parts.iter().any(|part| part.is_empty()) {
        bail!("`{key}` is no key; write it as section.name, such as training.epochs=10");
    }
    let Some((last, path)) = parts.split_last() else { bail!("no key") };
    let mut place: &mut Table = table;
    let mut at = 0;
    while at < path.len() {
        let entry = place.entry(path[at]).or_insert_with(|| Value::Table(Table::new()));
        at += 1;
        place = match entry {
            Value::Table(inner) => inner,
            Value::Array(items) => {
                let index = path.get(at).and_then(|i| i.parse::<usize>().ok());
                at += 1;
                match index.and_then(|i| items.get_mut(i)).and_then(Value::as_table_mut) {
                    Some(inner) => inner,
                    None => bail!("`{}` is an array: give the number of an entry, counted from 0", path[at - 2]),
                }
            }
            _ => bail!("`{}` is not a section", path[at - 1]),
        };
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}
