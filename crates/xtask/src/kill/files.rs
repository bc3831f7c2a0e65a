//! Checks of files: readable at any moment, equal in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use safetensors::SafeTensors;
use serde_json::Value;

use super::moment::is_temporary;

/// Parts of the names of numbers that depend on the machine's mood.
const TIMES: [&str; 4] = ["seconds", "per_second", "minutes", "time"];
/// Endings of files that hold times beside results that are compared elsewhere.
const NOT_COMPARED: [&str; 4] = ["potstill", "html", "svg", "md"];

/// Files of a folder, relative to it.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    Ok(all)
}

/// What is wrong with files that have their final names, some of which must be complete as soon as they are there.
pub fn readable(work: &Path, reference: &Path, final_files: &[&str]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for name in files(work)?.into_iter().filter(|name| !is_temporary(name)) {
        let path = work.join(&name);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let is_final = final_files.iter().any(|f| name == Path::new(f));
        let what = match damage(&name, &bytes) {
            Some(what) => what,
            None if is_final && bytes != fs::read(reference.join(&name))? => "is there, but not complete".to_owned(),
            None => continue,
        };
        wrong.push(format!("{}: {what}", name.display()));
    }
    Ok(wrong)
}

/// Reason for which a file cannot be read.
fn damage(name: &Path, bytes: &[u8]) -> Option<String> {
    let extension = name.extension().and_then(|e| e.to_str()).unwrap_or_default();
    // Lock files say nothing.
    if bytes.is_empty() {
        return (!name.to_string_lossy().contains("lock")).then(|| "is empty".to_owned());
    }
    match extension {
        "safetensors" => SafeTensors::deserialize(bytes).err().map(|e| e.to_string()),
        "json" => serde_json::from_slice::<Value>(bytes).err().map(|e| e.to_string()),
        "jsonl" => lines(bytes).err().map(|e| format!("{e:#}")),
        "toml" => std::str::from_utf8(bytes).err().map(|e| e.to_string()),
        _ => None,
    }
}

/// Files that differ from the reference's, and files that only one of both has.
pub fn compare(work: &Path, reference: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let (ours, theirs) = (files(work)?, files(reference)?);
    let mut leftovers: Vec<String> = ours.difference(&theirs).map(|name| name.display().to_string()).collect();
    // The lock of a run may stay or go.
    leftovers.retain(|name| !name.contains("lock"));
    let mut different: Vec<String> =
        theirs.difference(&ours).map(|name| format!("{} is missing", name.display())).collect();
    for name in ours.intersection(&theirs) {
        let read = |folder: &Path| fs::read(folder.join(name)).with_context(|| name.display().to_string());
        if let Some(what) = difference(name, &read(work)?, &read(reference)?)? {
            different.push(format!("{}: {what}", name.display()));
        }
    }
    Ok((different, leftovers))
}

/// Difference of two files, times aside.
fn difference(name: &Path, ours: &[u8], theirs: &[u8]) -> Result<Option<String>> {
    let extension = name.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if ours == theirs || NOT_COMPARED.contains(&extension) {
        return Ok(None);
    }
    Ok(match extension {
        "safetensors" => tensor_difference(ours, theirs)?,
        "json" => value_difference("", &timeless(parse(ours)?), &timeless(parse(theirs)?)),
        "jsonl" => {
            let all = |bytes| Ok::<_, anyhow::Error>(Value::Array(lines(bytes)?.into_iter().map(timeless).collect()));
            value_difference("line ", &all(ours)?, &all(theirs)?)
        }
        "csv" => {
            let (ours, theirs) = (timeless_table(ours), timeless_table(theirs));
            (ours != theirs).then(|| format!("{ours:?}, expected {theirs:?}").chars().take(200).collect())
        }
        _ => Some(format!("{} bytes differ from {}", ours.len(), theirs.len())),
    })
}

fn parse(bytes: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(bytes)?)
}

fn lines(bytes: &[u8]) -> Result<Vec<Value>> {
    let lines = bytes.split_inclusive(|&b| b == b'\n').enumerate();
    lines.map(|(i, line)| parse(line).with_context(|| format!("line {}", i + 1))).collect()
}

fn is_time(key: &str) -> bool {
    TIMES.iter().any(|part| key.contains(part))
}

/// A table without its columns of times; the names of columns stand in the first row.
fn timeless_table(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(bytes);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let kept = |column: usize| !rows[0].get(column).is_some_and(|name| is_time(name));
    let cells = |row: Vec<&str>| -> Vec<String> {
        row.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, cell)| (*cell).to_owned()).collect()
    };
    rows.iter().cloned().map(cells).collect()
}

/// A value without its times.
fn timeless(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(key, _)| !is_time(key)).map(|(k, v)| (k, timeless(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(timeless).collect()),
        other => other,
    }
}

/// The first place where two values differ.
fn value_difference(place: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a.iter().find_map(|(key, value)| {
            value_difference(&format!("{place}.{key}"), value, b.get(key).unwrap_or(&Value::Null))
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| value_difference(&format!("{place}[{i}]"), a, b))
        }
        (Value::Array(a), Value::Array(b)) => Some(format!("{place}: {} entries, expected {}", a.len(), b.len())),
        _ if ours == theirs => None,
        _ => Some(format!("{place}: {}, expected {}", shortened(ours), shortened(theirs))),
    }
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

fn tensor_difference(ours: &[u8], theirs: &[u8]) -> Result<Option<String>> {
    let tensors = |bytes| -> Result<BTreeMap<String, Vec<u8>>> {
        let all = SafeTensors::deserialize(bytes)?;
        Ok(all.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect())
    };
    let (a, b) = (tensors(ours)?, tensors(theirs)?);
    let names = a.keys().chain(b.keys()).find(|name| a.get(*name) != b.get(*name));
    if let Some(name) = names {
        return Ok(Some(format!("tensor {name}")));
    }
    Ok(value_difference("header", &header(ours)?, &header(theirs)?))
}

/// The JSON inside the metadata, without times and without checksums, which cover times.
fn header(bytes: &[u8]) -> Result<Value> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let entries = metadata.metadata().iter().flatten().filter(|(key, _)| !key.contains("checksum"));
    let entries = entries.map(|(key, text)| {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        (key.clone(), timeless(value))
    });
    Ok(Value::Object(entries.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir_all(a.join("sub")).unwrap();
        fs::create_dir_all(b.join("sub")).unwrap();
        (folder, a, b)
    }

    #[test]
    fn times_may_differ_and_nothing_else() {
        let (_folder, a, b) = folders();
        let put = |name: &str, ours: &str, theirs: &str| {
            fs::write(a.join(name), ours).unwrap();
            fs::write(b.join(name), theirs).unwrap();
        };
        put("sub/m.jsonl", "{\"seconds\": 1, \"x\": 2}\n", "{\"seconds\": 3, \"x\": 2}\n");
        assert_eq!(compare(&a, &b).unwrap(), (vec![], vec![]));
        put("sub/m.jsonl", "{\"x\": 1}\n{\"x\": 2}\n", "{\"x\": 1}\n{\"x\": 3}\n");
        put("t.xyz", "1", "2");
        put("u.csv", "a,seconds_se,b\n1,2,3\n", "a,seconds_se,b\n1,9,3\n");
        put("v.csv", "a,seconds\n1,2\n", "a,seconds\n3,2\n");
        fs::write(a.join(".potstill-x.tmp"), "").unwrap();
        fs::write(b.join("model.json"), "{}").unwrap();
        let (different, leftovers) = compare(&a, &b).unwrap();
        assert_eq!(different[0], "model.json is missing");
        assert!(different[1].contains("[1].x: 2, expected 3") && different[2].starts_with("t.xyz"), "{different:?}");
        assert!(different.len() == 4 && different[3].starts_with("v.csv"), "{different:?}");
        assert_eq!(leftovers, [".potstill-x.tmp"]);
    }

    #[test]
    fn damage_is_seen() {
        let (_folder, a, b) = folders();
        for (name, text) in
            [("a.json", "{"), ("b.safetensors", "xx"), ("c.jsonl", "{}\n{"), ("d.toml", ""), ("e.xyz", "1")]
        {
            fs::write(a.join(name), text).unwrap();
        }
        fs::write(a.join(".potstill-x.tmp"), "").unwrap();
        fs::write(b.join("e.xyz"), "whole").unwrap();
        let wrong = readable(&a, &b, &["e.xyz"]).unwrap();
        assert_eq!(wrong.len(), 5, "{wrong:?}");
        assert_eq!(readable(&b, &b, &["e.xyz"]).unwrap(), Vec::<String>::new());
    }
}
