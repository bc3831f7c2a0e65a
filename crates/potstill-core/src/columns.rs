//! Per-atom quantities that potstill carries but does not use: charges, momenta, magnetic moments, …

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Per-atom quantities by name.
pub type Columns = BTreeMap<String, Column>;

/// Values of one quantity for every atom: `width` neighbouring columns of a file. Shape: `[n_atoms, width]`, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Entries of each atom, at least 1.
    pub width: usize,
    /// The entries of all atoms.
    pub values: ColumnValues,
}

/// Entries of a [`Column`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ColumnValues {
    /// Real numbers; not necessarily finite.
    Real(Vec<f64>),
    /// Integers.
    Int(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Pieces of text.
    Text(Vec<String>),
}

impl Column {
    /// Column with one real number for each atom.
    pub fn real(values: Vec<f64>) -> Self {
        Self { width: 1, values: ColumnValues::Real(values) }
    }

    /// Whether there are `width` entries for each of `n_atoms` atoms.
    pub fn fits(&self, n_atoms: usize) -> bool {
        self.width > 0 && n_atoms.checked_mul(self.width) == Some(self.values.len())
    }

    /// Whether another column has the same width and type, so that both can stand in one array.
    pub fn is_like(&self, other: &Self) -> bool {
        self.width == other.width && std::mem::discriminant(&self.values) == std::mem::discriminant(&other.values)
    }

    /// Whether the entries say what an atom is or belongs to, rather than what was computed for its place: everything
    /// that is not a real number, and the masses and initial values that calculations start from.
    pub fn is_label(&self, name: &str) -> bool {
        const STARTING_VALUES: [&str; 4] = ["masses", "mass", "initial_charges", "initial_magmoms"];
        !matches!(self.values, ColumnValues::Real(_)) || STARTING_VALUES.contains(&name)
    }
}

impl ColumnValues {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No entries, of the same type.
    #[must_use]
    pub fn emptied(&self) -> Self {
        match self {
            Self::Real(_) => Self::Real(Vec::new()),
            Self::Int(_) => Self::Int(Vec::new()),
            Self::Bool(_) => Self::Bool(Vec::new()),
            Self::Text(_) => Self::Text(Vec::new()),
        }
    }

    /// Appends entries of the same type; those of another are ignored and false is returned.
    pub fn append(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Real(all), Self::Real(more)) => all.extend_from_slice(more),
            (Self::Int(all), Self::Int(more)) => all.extend_from_slice(more),
            (Self::Bool(all), Self::Bool(more)) => all.extend_from_slice(more),
            (Self::Text(all), Self::Text(more)) => all.extend_from_slice(more),
            _ => return false,
        }
        true
    }

    /// A part of the entries; empty when they are not all there.
    #[must_use]
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        fn of<T: Clone>(values: &[T], range: std::ops::Range<usize>) -> Vec<T> {
            values.get(range).unwrap_or_default().to_vec()
        }
        match self {
            Self::Real(values) => Self::Real(of(values, range)),
            Self::Int(values) => Self::Int(of(values, range)),
            Self::Bool(values) => Self::Bool(of(values, range)),
            Self::Text(values) => Self::Text(of(values, range)),
        }
    }
}
