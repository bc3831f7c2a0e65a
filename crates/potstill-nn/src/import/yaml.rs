//! YAML configurations of the reference, whose `includes` are other files.

use std::path::{Path, PathBuf};

use potstill_core::{Error, Result};
use serde_json::{Map, Value as Json};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// Deepest chain of includes.
const MAX_DEPTH: usize = 16;
/// Deepest nesting of lists and tables.
const MAX_NESTING: usize = 64;
/// Largest file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a configuration with its includes; a file's own settings win over those it includes.
///
/// The reference names includes relative to its repository; here they are looked for beside the file and in every folder
/// above it.
///
/// # Errors
/// [`Error::Io`] and [`Error::File`] for a file that cannot be opened or read, or that includes itself.
pub fn read(path: &Path) -> Result<Json> {
    Ok(Json::Object(load(path, 0)?))
}

fn load(path: &Path, depth: usize) -> Result<Map<String, Json>> {
    let wrong = |message: String| Error::file(path, message);
    if depth > MAX_DEPTH {
        return Err(wrong(format!("includes are nested deeper than {MAX_DEPTH} files; does one include itself?")));
    }
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "cannot open", e))?.len();
    if size > MAX_BYTES {
        return Err(wrong(format!("{size} bytes are too many for a configuration")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "cannot read", e))?;
    let value = parse(&text).map_err(|e| wrong(format!("not YAML that can be read: {e}")))?;
    let Json::Object(own) = value else { return Err(wrong("is not a table of settings".into())) };
    let mut all = Map::new();
    for include in own.get("includes").and_then(Json::as_array).into_iter().flatten() {
        let name = include.as_str().ok_or_else(|| wrong(format!("includes: {include} is not a file name")))?;
        let found = find(path, name).ok_or_else(|| wrong(format!("includes `{name}`, which is nowhere above it")))?;
        merge(&mut all, load(&found, depth + 1)?);
    }
    merge(&mut all, own);
    all.remove("includes");
    Ok(all)
}

/// List or table that is being filled.
enum Open {
    List(Vec<Json>),
    Table(Map<String, Json>, Option<String>),
}

/// First document of a text as JSON. Anchors are refused, since a few lines of them can unfold into gigabytes.
fn parse(text: &str) -> Result<Json, String> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (event, place) = parser.next_token().map_err(|e| e.to_string())?;
        let at = |what: &str| format!("line {}: {what}", place.line());
        let done = match event {
            Event::Alias(_) => return Err(at("aliases are not read; write the settings out")),
            Event::MappingStart(..) => {
                open.push(Open::Table(Map::new(), None));
                None
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingEnd | Event::SequenceEnd => open.pop().map(|closed| match closed {
                Open::List(list) => Json::Array(list),
                Open::Table(table, _) => Json::Object(table),
            }),
            Event::Scalar(text, TScalarStyle::Plain, ..) => Some(plain(&text)),
            Event::Scalar(text, ..) => Some(Json::String(text)),
            Event::StreamEnd | Event::DocumentEnd => return Ok(Json::Null),
            _ => None,
        };
        if open.len() > MAX_NESTING {
            return Err(at("too deeply nested"));
        }
        let Some(value) = done else { continue };
        match open.last_mut() {
            None => return Ok(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Table(table, key)) => match key.take() {
                Some(key) => drop(table.insert(key, value)),
                None => match value {
                    Json::String(word) => *key = Some(word),
                    // As text such a key doubles with each level of nesting: a few lines would fill the memory.
                    Json::Array(_) | Json::Object(_) => return Err(at("a key must be a word, not a list or a table")),
                    other => *key = Some(other.to_string()),
                },
            },
        }
    }
}

/// Value of an unquoted scalar: a truth value, a number, nothing, or text.
fn plain(text: &str) -> Json {
    match text {
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        "" | "~" | "null" | "Null" | "NULL" | "None" => return Json::Null,
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => number.into(),
        _ => Json::String(text.to_owned()),
    }
}

fn find(from: &Path, name: &str) -> Option<PathBuf> {
    let start = from.parent().map(|p| std::path::absolute(p).unwrap_or_else(|_| p.to_owned()))?;
    start.ancestors().map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

/// Tables are merged key by key, everything else is replaced.
fn merge(into: &mut Map<String, Json>, from: Map<String, Json>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Json::Object(old)), Json::Object(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_merged_below_what_a_file_says_itself() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("configs/coll");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(folder.path().join("configs/base.yml"), "model: {name: painn, cutoff: 6.0}\noptim: {lr: 1}\n")
            .unwrap();
        let path = inner.join("painn.yml");
        std::fs::write(&path, "includes:\n  - configs/base.yml\nmodel:\n  cutoff: 12.0\n").unwrap();
        let settings = read(&path).unwrap();
        assert_eq!(settings["model"], serde_json::json!({ "name": "painn", "cutoff": 12.0 }));
        assert_eq!(settings["optim"]["lr"], 1);
        assert!(settings.get("includes").is_none());
    }

    #[test]
    fn keys_are_words() {
        assert_eq!(parse("1: a\ntrue: b\n").unwrap(), serde_json::json!({ "1": "a", "true": "b" }));
        // Thirty levels of this took half a gigabyte, as each level doubles the backslashes of the one inside.
        let nested = (0..30).fold("a".to_owned(), |inner, _| format!("{{? {inner} : \"b\"}}"));
        for text in [&nested[..], "? [1, 2]\n: 3\n", "? {a: 1}\n: 3\n"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("a key must be a word"), "{message}");
        }
    }

    #[test]
    fn scalars() {
        let json = parse("a: 1\nb: 1.5e-3\nc: True\nd: 'True'\ne: ~\nf: 12 Å\ng: [1, [2], {h: x}]\ni: 5.e-4\nj: -.5\n")
            .unwrap();
        let expected = serde_json::json!({
            "a": 1, "b": 1.5e-3, "c": true, "d": "True", "e": null, "f": "12 Å", "g": [1, [2], { "h": "x" }], "i": 5e-4,
            "j": -0.5,
        });
        assert_eq!(json, expected);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[a-c:\\-\\[\\]{}&*'\"#|> \n0-9.]{0,80}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn unusable_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loop.yml");
        for (text, expected) in [
            ("includes: [loop.yml]\n", "include itself"),
            ("includes: [nowhere.yml]\n", "nowhere above it"),
            ("- 1\n", "not a table"),
            ("model: {a: [}\n", "not YAML"),
            ("a: &x [1]\nb: *x\n", "aliases are not read"),
            (&"[".repeat(1000), "not YAML"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(expected) && !message.contains('\n'), "{message}");
        }
    }
}
