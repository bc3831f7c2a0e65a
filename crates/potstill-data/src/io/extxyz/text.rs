//! The text of a system, which reads back as the same system, bit for bit.

use std::fmt::Write as _;

use super::columns::{self, Kind, MAX_COLUMNS};
use super::comment::{Pair, Wrap};
use super::names::{column_name, key_name};
use super::value::{JSON_MARK, typed};
use potstill_core::elements;
use potstill_core::system::{Column, ColumnValues, System, Value};

/// Appends the lines of a system.
///
/// # Errors
/// Arrays of the system that disagree in length, an unknown element, no atom at all, a number that is not finite.
pub fn append(out: &mut String, system: &System) -> Result<(), String> {
    check(system)?;
    put_system(out, system)
}

/// Whether what would be written reads back.
fn check(system: &System) -> Result<(), String> {
    let n = system.n_atoms();
    if n == 0 {
        return Err("a system needs at least one atom".into());
    }
    let lengths = [
        ("positions", Some(system.positions.len())),
        ("forces", system.forces.as_ref().map(Vec::len)),
        ("tags", system.tags.as_ref().map(Vec::len)),
        ("fixed", system.fixed.as_ref().map(Vec::len)),
    ];
    if let Some((what, len)) = lengths.iter().find_map(|(what, len)| Some((what, len.filter(|len| *len != n)?))) {
        return Err(format!("{what} has {len} rows for {n} atoms"));
    }
    if let Some(z) = system.atomic_numbers.iter().find(|z| elements::symbol(**z).is_none()) {
        return Err(format!("no element has the atomic number {z}"));
    }
    let width: usize = system.columns.values().map(|column| column.width).sum();
    if width > MAX_COLUMNS / 2 {
        return Err(format!("has {width} further columns; at most {} can be written", MAX_COLUMNS / 2));
    }
    let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
    let all_finite = [
        ("energy", system.energy.is_none_or(f64::is_finite)),
        ("positions", finite(system.positions.as_flattened())),
        ("forces", system.forces.as_ref().is_none_or(|f| finite(f.as_flattened()))),
        ("cell", system.cell.is_none_or(|c| finite(c.as_flattened()))),
        ("stress", system.stress.is_none_or(|s| finite(s.as_flattened()))),
    ];
    match all_finite.iter().find(|(_, ok)| !ok) {
        Some((what, _)) => Err(format!("{what}: a number is not finite")),
        None => Ok(()),
    }
}

fn put_system(out: &mut String, system: &System) -> Result<(), String> {
    let n = system.n_atoms();
    let _ = writeln!(out, "{n}");
    put_comment(out, system)?;
    for i in 0..n {
        // `check` has seen every array, so each has a row `i`.
        out.push_str(elements::symbol(system.atomic_numbers[i]).unwrap_or("X"));
        put_reals(out, &system.positions[i]);
        if let Some(fixed) = &system.fixed {
            out.push_str(if fixed[i] { " F" } else { " T" });
        }
        if let Some(tags) = &system.tags {
            let _ = write!(out, " {}", tags[i]);
        }
        if let Some(forces) = &system.forces {
            put_reals(out, &forces[i]);
        }
        system.columns.values().for_each(|column| put_entries(out, column, i));
        out.push('\n');
    }
    Ok(())
}

/// The entries of atom `i`.
fn put_entries(out: &mut String, column: &Column, i: usize) {
    let entries = i * column.width..(i + 1) * column.width;
    match &column.values {
        ColumnValues::Real(values) => put_reals(out, &values[entries]),
        ColumnValues::Int(values) => {
            for v in &values[entries] {
                let _ = write!(out, " {v}");
            }
        }
        ColumnValues::Bool(values) => {
            values[entries].iter().for_each(|v| out.push_str(if *v { " T" } else { " F" }));
        }
        ColumnValues::Text(values) => values[entries].iter().for_each(|v| out.extend([" ", v])),
    }
}

fn put_comment(out: &mut String, system: &System) -> Result<(), String> {
    if let Some(cell) = &system.cell {
        put_matrix(out, "Lattice", cell.as_flattened());
    }
    let mut properties = "species:S:1:pos:R:3".to_owned();
    let optional = [
        (system.fixed.is_some(), ":move_mask:L:1"),
        (system.tags.is_some(), ":tags:I:1"),
        (system.forces.is_some(), ":forces:R:3"),
    ];
    optional.iter().filter(|(there, _)| *there).for_each(|(_, text)| properties.push_str(text));
    for (name, column) in &system.columns {
        let (name, kind) = (column_name(system, name, column)?, Kind::of(&column.values));
        let _ = write!(properties, ":{}", columns::Column { name, kind, count: column.width });
    }
    out.push_str("Properties=");
    put_key(out, &properties);
    out.push(' ');
    if let Some(energy) = system.energy {
        let _ = write!(out, "energy={energy:?} ");
    }
    if let Some(stress) = &system.stress {
        put_matrix(out, "stress", stress.as_flattened());
    }
    for (key, value) in &system.metadata {
        put_key(out, &key_name(system, key, value)?);
        out.push('=');
        put_value(out, value);
        out.push(' ');
    }
    let axis = |periodic| if periodic { 'T' } else { 'F' };
    let [a, b, c] = system.pbc.map(axis);
    let _ = writeln!(out, "pbc=\"{a} {b} {c}\"");
    Ok(())
}

fn put_matrix(out: &mut String, key: &str, numbers: &[f64]) {
    let _ = write!(out, "{key}=\"");
    for (i, v) in numbers.iter().enumerate() {
        let _ = write!(out, "{}{v:?}", if i == 0 { "" } else { " " });
    }
    out.push_str("\" ");
}

fn put_reals(out: &mut String, numbers: &[f64]) {
    for v in numbers {
        // The shortest text that reads back as the same number.
        let _ = write!(out, " {v:?}");
    }
}

fn put_key(out: &mut String, key: &str) {
    match is_bare(key) {
        true => out.push_str(key),
        false => put_quoted(out, key),
    }
}

fn put_value(out: &mut String, value: &Value) {
    match value {
        Value::Bool(v) => out.push(if *v { 'T' } else { 'F' }),
        Value::Int(v) => drop(write!(out, "{v}")),
        Value::Real(v) => drop(write!(out, "{v:?}")),
        Value::Json(v) => put_quoted(out, &format!("{JSON_MARK}{v}")),
        Value::Text(v) => put_text(out, v),
    }
}

/// Text, wrapped so that it is read back as text even when it looks like a number or a list.
fn put_text(out: &mut String, text: &str) {
    let pair = Pair { key: "".into(), text: text.into(), wrap: Wrap::Quoted };
    let stays = typed(&pair) == Value::Text(text.to_owned());
    if !stays || text.chars().any(char::is_control) {
        let json = serde_json::Value::String(text.to_owned());
        put_quoted(out, &format!("{JSON_MARK}{json}"));
    } else if is_bare(text) {
        out.push_str(text);
    } else {
        put_quoted(out, text);
    }
}

/// Whether a key or value needs no quotes, here and in other readers.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\{}[]=,".contains(c))
}

fn put_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '"' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push('"');
}
