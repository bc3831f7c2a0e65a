//! Arrays beside those of the layout, and what each system gets of them.

use std::ops::Range;

use super::array::Array;
use potstill_core::columns::{Column, ColumnValues};
use potstill_core::system::{Columns, Metadata, Value};

/// Metadata and columns of all systems.
#[derive(Debug, Default)]
pub struct Extras {
    metadata: Vec<(String, ColumnValues)>,
    /// Name, width and entries.
    columns: Vec<(String, usize, ColumnValues)>,
}

impl Extras {
    /// Takes an array as what its shape says; false when it says nothing known.
    pub fn add(&mut self, name: &str, array: Array, n_systems: usize, n_atoms: usize) -> bool {
        let of_atoms = |width: usize| (name.to_owned(), width, array.values.clone());
        match array.shape[..] {
            [n] if n == n_systems => self.metadata.push((name.to_owned(), array.values)),
            [n, 1] if n == n_systems && n_systems != n_atoms => self.metadata.push((name.to_owned(), array.values)),
            [n] if n == n_atoms => self.columns.push(of_atoms(1)),
            [n, width] if n == n_atoms && width > 0 => self.columns.push(of_atoms(width)),
            _ => return false,
        }
        true
    }

    /// Metadata of a system.
    pub fn metadata(&self, system: usize) -> Metadata {
        self.metadata.iter().filter_map(|(key, values)| Some((key.clone(), value(values, system)?))).collect()
    }

    /// Columns of the atoms of a system.
    pub fn columns(&self, atoms: &Range<usize>) -> Columns {
        let part = |width: usize, values: &ColumnValues| values.part(atoms.start * width..atoms.end * width);
        let columns = self.columns.iter();
        columns.map(|(name, width, v)| (name.clone(), Column { width: *width, values: part(*width, v) })).collect()
    }
}

fn value(values: &ColumnValues, i: usize) -> Option<Value> {
    Some(match values {
        ColumnValues::Real(values) => Value::Real(*values.get(i)?),
        ColumnValues::Int(values) => Value::Int(*values.get(i)?),
        ColumnValues::Bool(values) => Value::Bool(*values.get(i)?),
        ColumnValues::Text(values) => Value::Text(values.get(i)?.clone()),
    })
}
