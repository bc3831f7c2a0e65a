//! Key of a TOML document that is at fault.
//!
//! Errors of `serde` do not tell, or no longer, where the value lies inside a tagged enum. The key is found by trying: values
//! are read in a fixed order, so the first one at fault ends the shortest document that gives the same complaint.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Keys that say which variant of an enum the others belong to; nothing can be read without them.
const TAGS: [&str; 3] = ["architecture", "kind", "strategy"];

/// Step of the path to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Key of a table.
    Key(String),
    /// Entry of an array, counted from 0.
    Index(usize),
}

/// Fault of a document.
#[derive(Debug)]
pub struct Fault {
    /// Path to the faulty value.
    pub path: Vec<Step>,
    /// In the words of `serde`.
    pub complaint: String,
    /// Value at the path.
    pub value: Value,
    /// The words that a missing tag may be.
    pub choices: Option<String>,
}

impl Fault {
    /// The path as `--set` takes it: `distill.terms.0.weight`.
    pub fn key(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
        });
        steps.collect::<Vec<_>>().join(".")
    }
}

/// Reads a value from a document, or says which key is at fault.
pub fn deserialize<T: DeserializeOwned>(table: &Table) -> Result<T, Fault> {
    let complaint = match T::deserialize(Value::Table(table.clone())) {
        Ok(value) => return Ok(value),
        Err(error) => error.message().to_owned(),
    };
    let complains = |root: &Value| T::deserialize(root.clone()).err().map(|error| error.message().to_owned());
    let whole = Value::Table(table.clone());
    let mut root = whole.clone();
    let mut path = Vec::new();
    while let Some(step) = next(&mut root, &path, &complaint, &complains) {
        path.push(step);
    }
    let choices = missing_tag(&complaint).and_then(|tag| {
        let table = at(&mut root, &path)?.as_table_mut()?;
        table.insert(tag.to_owned(), Value::String(String::new()));
        let (_, choices) = complains(&root)?.split_once(", expected ").map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        Some(choices)
    });
    let value = at(&mut whole.clone(), &path).cloned().unwrap_or(whole);
    Err(Fault { path, complaint, value, choices })
}

fn missing_tag(complaint: &str) -> Option<&str> {
    let key = complaint.strip_prefix("missing field `")?.strip_suffix('`')?;
    TAGS.contains(&key).then_some(key)
}

/// The value at a path.
fn at<'v>(root: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.as_table_mut()?.get_mut(key),
        Step::Index(index) => value.as_array_mut()?.get_mut(*index),
    })
}

/// The child of the value at `path` that is at fault; none when it is the value itself. What comes after that child is taken
/// out of the document.
fn next(
    root: &mut Value,
    path: &[Step],
    complaint: &str,
    complains: &dyn Fn(&Value) -> Option<String>,
) -> Option<Step> {
    // Too few or too many entries are nobody's fault but the array's.
    if complaint.starts_with("invalid length") {
        return None;
    }
    let whole = at(root, path)?.clone();
    let children = children(&whole);
    for n in 0..=children.len() {
        *at(root, path)? = beginning(&whole, &children[..n]);
        if complains(root).as_deref() == Some(complaint) {
            return match n {
                0 if complaint.starts_with("missing field") => None,
                0 => TAGS.iter().find(|tag| whole.get(**tag).is_some()).map(|tag| Step::Key((*tag).to_owned())),
                _ => children.get(n - 1).cloned(),
            };
        }
    }
    None
}

/// Steps into a value in the order in which it is read, without tags.
fn children(value: &Value) -> Vec<Step> {
    match value {
        Value::Table(table) => {
            table.keys().filter(|key| !TAGS.contains(&key.as_str())).cloned().map(Step::Key).collect()
        }
        Value::Array(items) => (0..items.len()).map(Step::Index).collect(),
        _ => Vec::new(),
    }
}

/// A value with some of its children, and its tags.
fn beginning(value: &Value, kept: &[Step]) -> Value {
    match value {
        Value::Table(table) => {
            let is_kept = |key: &str| TAGS.contains(&key) || kept.iter().any(|s| matches!(s, Step::Key(k) if k == key));
            Value::Table(table.iter().filter(|(key, _)| is_kept(key)).map(|(k, v)| (k.clone(), v.clone())).collect())
        }
        Value::Array(items) => Value::Array(items.iter().take(kept.len()).cloned().collect()),
        other => other.clone(),
    }
}
