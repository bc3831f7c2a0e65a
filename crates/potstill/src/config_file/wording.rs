//! Complaints of `serde` in our words.

use toml::Value;

use super::fault::Fault;

/// Longest value that is quoted in full.
const LONGEST: usize = 60;

/// Explains the fault of a key, and what it may be, on one line.
pub fn explain(fault: &Fault) -> String {
    let complaint = fault.complaint.replace('\n', " ");
    if let Some(key) = complaint.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return match &fault.choices {
            Some(choices) => format!("needs `{key}`, which is {}", list(choices)),
            None => format!("needs `{key}`"),
        };
    }
    if let Some((found, known)) = quoted_then_known(&complaint, "unknown field `") {
        return format!("unknown key{}", suggestion(found, &known, "known are"));
    }
    if let Some((found, known)) = quoted_then_known(&complaint, "unknown variant `") {
        let nearest = nearest(found, &known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return format!("is \"{found}\"; it must be {}{nearest}", list(&complaint));
    }
    match complaint.rsplit_once("expected ") {
        Some((start, wanted)) if start.is_empty() || start.starts_with("invalid") => {
            let wanted = match (wanted, &fault.value) {
                ("struct variant", Value::String(name)) => format!("a table, as {{ {name} = {{ }} }}"),
                _ => plain(wanted).to_owned(),
            };
            format!("is {}; it must be {wanted}", shown(&fault.value))
        }
        _ => complaint,
    }
}

/// The word in backquotes after `prefix`, and all other words in backquotes.
fn quoted_then_known<'a>(complaint: &'a str, prefix: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let (found, rest) = complaint.strip_prefix(prefix)?.split_once('`')?;
    Some((found, rest.split('`').skip(1).step_by(2).collect()))
}

fn suggestion(found: &str, known: &[&str], otherwise: &str) -> String {
    match nearest(found, known) {
        Some(key) => format!("; did you mean `{key}`?"),
        None if known.is_empty() => "; there are none here".to_owned(),
        None => format!("; {otherwise} {}", known.join(", ")),
    }
}

fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |key: &str| strsim::damerau_levenshtein(found, key);
    known.iter().copied().min_by_key(|key| distance(key)).filter(|key| distance(key) <= 1 + found.len() / 3)
}

/// "one of `a`, `b`, `c`" and "`a` or `b`" as "`a`, `b` or `c`"; of a whole complaint, what comes after "expected".
fn list(text: &str) -> String {
    let wanted = text.rsplit_once("expected ").map_or(text, |(_, wanted)| wanted);
    let words: Vec<&str> = wanted.split('`').skip(1).step_by(2).collect();
    match words.split_last() {
        Some((last, [])) => format!("`{last}`"),
        Some((last, others)) => format!("`{}` or `{last}`", others.join("`, `")),
        None => wanted.to_owned(),
    }
}

/// Types of Rust as a user of TOML knows them.
fn plain(wanted: &str) -> &str {
    match wanted {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" => "true or false",
        "a string" | "path string" | "string" => "text in quotes",
        "a sequence" => "a list, as [\"a\", \"b\"]",
        "a map" => "a table, as { key = value }",
        "struct variant" => "a table, as { name = { key = value } }",
        other if other.starts_with("struct ") || other.contains("tagged enum") => "a table, as { key = value }",
        "string only" => "text in quotes, or a table",
        other if other.starts_with("table with exactly 1") => "a table with one key",
        other => other,
    }
}

/// A value as it stands in the file, shortened.
fn shown(value: &Value) -> String {
    let text = value.to_string().replace('\n', " ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
