//! Metadata and columns of many systems as arrays.

use std::collections::BTreeSet;

use super::OWN_ARRAYS;
use super::array::Array;
use potstill_core::columns::{Column, ColumnValues};
use potstill_core::system::{System, Value};

/// Longest text that becomes an entry of an array, which makes all entries as long.
const LONGEST_TEXT: usize = 1024;
/// Integers up to here are reals, too.
const LARGEST_EXACT: i64 = 1 << 53;

/// Arrays by name, and what no array can hold.
#[derive(Debug, Default)]
pub struct Carried {
    /// Name and contents.
    pub arrays: Vec<(String, Array)>,
    /// Names of metadata and columns that are left out.
    pub left_out: Vec<String>,
}

/// Metadata and columns that every system has, with one type.
pub fn carried(systems: &[System]) -> Carried {
    let mut all = Carried::default();
    for key in names(systems, |s| s.metadata.keys()) {
        let array = metadata(systems, key);
        all.add(key, array);
    }
    for name in names(systems, |s| s.columns.keys()) {
        let array = column(systems, name);
        all.add(name, array);
    }
    all
}

fn names<'a, I: Iterator<Item = &'a String>>(systems: &'a [System], of: impl Fn(&'a System) -> I) -> BTreeSet<&'a str> {
    systems.iter().flat_map(|system| of(system).map(String::as_str)).collect()
}

impl Carried {
    fn add(&mut self, name: &str, array: Option<Array>) {
        let name = if OWN_ARRAYS.contains(&name) { format!("other_{name}") } else { name.to_owned() };
        let is_name = !name.is_empty() && name.len() <= LONGEST_TEXT && !name.contains('\0');
        let is_free = is_name && self.arrays.iter().all(|(other, _)| *other != name);
        match array.filter(|_| is_free) {
            Some(array) => self.arrays.push((name, array)),
            None => self.left_out.push(name),
        }
    }
}

/// Metadata under a key, one entry for each system.
fn metadata(systems: &[System], key: &str) -> Option<Array> {
    let values: Vec<&Value> = systems.iter().map(|system| system.metadata.get(key)).collect::<Option<_>>()?;
    let values = match values.first()? {
        Value::Bool(_) => ColumnValues::Bool(all(&values, |v| if let Value::Bool(v) = v { Some(*v) } else { None })?),
        Value::Text(_) => {
            let text = |v: &Value| match v {
                // Arrays of text are padded with zeros.
                Value::Text(v) if !v.contains('\0') && v.chars().count() <= LONGEST_TEXT => Some(v.clone()),
                _ => None,
            };
            ColumnValues::Text(all(&values, text)?)
        }
        Value::Int(_) | Value::Real(_) => numbers(&values)?,
        Value::Json(_) => return None,
    };
    Some(Array::new(&[systems.len()], values))
}

/// Integers, or reals where some of them are: `-2` is one that was written without a point.
fn numbers(values: &[&Value]) -> Option<ColumnValues> {
    let integers = all(values, |v| if let Value::Int(v) = v { Some(*v) } else { None });
    if let Some(integers) = integers {
        return Some(ColumnValues::Int(integers));
    }
    let real = |v: &Value| match v {
        Value::Real(v) => Some(*v),
        Value::Int(v) if v.unsigned_abs() <= LARGEST_EXACT.unsigned_abs() => Some(*v as f64),
        _ => None,
    };
    Some(ColumnValues::Real(all(values, real)?))
}

fn all<T>(values: &[&Value], of: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(|value| of(value)).collect()
}

/// A column of all systems.
fn column(systems: &[System], name: &str) -> Option<Array> {
    let first: &Column = systems.first()?.columns.get(name)?;
    let mut values = first.values.emptied();
    let mut n_atoms = 0;
    for system in systems {
        let column = system.columns.get(name).filter(|column| column.is_like(first))?;
        values.append(&column.values);
        n_atoms += system.n_atoms();
    }
    let is_unpadded = |texts: &[String]| texts.iter().all(|t| !t.contains('\0') && t.chars().count() <= LONGEST_TEXT);
    let fits = if let ColumnValues::Text(texts) = &values { is_unpadded(texts) } else { true };
    fits.then(|| Array::new(&[n_atoms, first.width], values))
}
