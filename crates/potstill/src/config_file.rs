//! Reading a TOML configuration, with `--set` and helpful errors.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use potstill_train::config::Config;
use toml::{Table, Value};

use crate::load::beside;

/// Reads a configuration, applies `key=value` settings, makes its paths relative to the working folder.
///
/// # Errors
/// One line with file, line and key; for an unknown key the nearest known one.
pub fn read(path: &Path, settings: &[String]) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot open", path.display()))?;
    let mut config = parse(path, &text, settings)?;
    let data = &mut config.data;
    for file in data.train.iter_mut().chain(&mut data.validation).chain(&mut data.synthetic) {
        *file = beside(path, file);
    }
    if let Some(distill) = &mut config.distill {
        distill.teacher.paths_mut().iter_mut().for_each(|file| *file = beside(path, file));
        distill.cache = distill.cache.as_ref().map(|cache| beside(path, cache));
    }
    config.validate().with_context(|| path.display().to_string())?;
    Ok(config)
}

fn parse(path: &Path, text: &str, settings: &[String]) -> Result<Config> {
    if settings.is_empty() {
        return toml::from_str(text).map_err(|e| explain(path, text, &e));
    }
    let mut table: Table = toml::from_str(text).map_err(|e| explain(path, text, &e))?;
    for setting in settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| anyhow!("--set {setting}: expected KEY=VALUE"))?;
        set(&mut table, key.trim(), value.trim()).with_context(|| format!("--set {setting}"))?;
    }
    let changed = toml::to_string(&table).context("--set")?;
    toml::from_str(&changed).map_err(|e| match toml::from_str::<Config>(text) {
        // The file itself is fine: the blame is with --set.
        Ok(_) => anyhow!("--set: {}", message(&e)),
        Err(own) => explain(path, text, &own),
    })
}

/// Sets `a.b.c`; a value that is not TOML is taken as text. `a.0.b` counts entries of an array.
fn set(table: &mut Table, key: &str, value: &str) -> Result<()> {
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let parts: Vec<&str> = key.split('.').collect();
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

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let place = match error.span().filter(|span| !span.is_empty()) {
        Some(span) => format!("{}:{}", path.display(), 1 + text[..span.start.min(text.len())].matches('\n').count()),
        None => path.display().to_string(),
    };
    anyhow!("{place}: {}", message(error))
}

/// The error's own words, and the nearest known key when one is unknown.
fn message(error: &toml::de::Error) -> String {
    let text = error.message().replace('\n', " ");
    let Some(rest) = text.strip_prefix("unknown field `").or_else(|| text.strip_prefix("unknown variant `")) else {
        return text;
    };
    let mut words = rest.split('`').step_by(1);
    let Some(found) = words.next() else { return text };
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
    let nearest = known.iter().map(|k| (strsim::damerau_levenshtein(found, k), *k)).min();
    match nearest {
        Some((distance, key)) if distance <= 1 + found.len() / 3 => {
            format!("`{found}`: unknown key; did you mean `{key}`?")
        }
        _ => format!("`{found}`: unknown key; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use potstill_train::distill::{Term, Weight};

    use super::*;

    const GOOD: &str = "[data]\ntrain = ['a.xyz']\n[model]\narchitecture = 'painn'\n";

    fn error(text: &str, settings: &[&str]) -> String {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        format!("{:#}", parse(Path::new("train.toml"), text, &settings).unwrap_err())
    }

    #[test]
    fn unknown_keys_get_a_suggestion() {
        let text = format!("{GOOD}cutof = 5.0\n");
        assert!(error(&text, &[]).contains("`cutof`: unknown key; did you mean `cutoff`?"), "{}", error(&text, &[]));
        let text = format!("{GOOD}[training]\nepoch = 5\n");
        assert_eq!(error(&text, &[]), "train.toml:6: `epoch`: unknown key; did you mean `epochs`?");
        assert!(error(GOOD, &["training.epoks=3"]).contains("did you mean `epochs`"));
    }

    #[test]
    fn settings_reach_sections_and_entries() {
        let text = format!("{GOOD}[distill]\nteacher = 't'\n[[distill.terms]]\nstrategy = 'n2n'\nweight = 1.0\n");
        let settings = ["distill.terms.0.weight=5.0", "training.epochs=3", "data.energy_key=E"];
        let config = parse(Path::new("x"), &text, &settings.map(str::to_owned)).unwrap();
        assert_eq!(config.training.epochs, 3);
        assert_eq!(config.data.energy_key.as_deref(), Some("E"));
        let distill = config.distill.unwrap();
        assert!(matches!(&distill.terms[0], Term::NodeToNode(term) if term.weight == Weight::Fixed(5.0)));
        assert!(error(GOOD, &["seed=1", "seed.x=3"]).contains("`seed` is not a section"));
        assert!(error(GOOD, &["epochs"]).contains("expected KEY=VALUE"));
    }
}
