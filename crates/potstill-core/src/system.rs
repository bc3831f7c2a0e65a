//! A set of atoms, with its labels when it has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::columns::{Column, ColumnValues, Columns};

/// A 3-vector.
pub type Vec3 = [f64; 3];
/// A 3×3 matrix; for a cell, each row is one lattice vector.
pub type Mat3 = [[f64; 3]; 3];

/// A molecule, slab or crystal: `n` atoms with positions, an optional cell and optional labels.
///
/// A missing label is absent (`None`), never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// Nuclear charges. Shape: `[n]`.
    pub atomic_numbers: Vec<u8>,
    /// Positions in Å, not necessarily inside the cell. Shape: `[n, 3]`.
    pub positions: Vec<Vec3>,
    /// Lattice vectors in Å as rows; absent for a free molecule.
    pub cell: Option<Mat3>,
    /// Whether the system repeats along each lattice vector.
    pub pbc: [bool; 3],
    /// Total energy in eV.
    pub energy: Option<f64>,
    /// Force on each atom in eV/Å. Shape: `[n, 3]`.
    pub forces: Option<Vec<Vec3>>,
    /// Stress in eV/Å³, symmetric, tension positive: `stress = ∂E/∂strain / volume = -virial / volume`.
    pub stress: Option<Mat3>,
    /// Integer tag of each atom (OC20: 0 bulk, 1 surface, 2 adsorbate). Shape: `[n]`.
    pub tags: Option<Vec<i32>>,
    /// Whether each atom is held fixed; fixed atoms enter neither force losses nor force metrics. Shape: `[n]`.
    pub fixed: Option<Vec<bool>>,
    /// Everything else that the file said about each atom (`charges`, `momenta`, `magmoms`, …).
    pub columns: Columns,
    /// Everything else that the file said about the system as a whole (`name`, `traj`, `charge`, …).
    pub metadata: Metadata,
}

/// Key–value pairs of a system, sorted by key.
pub type Metadata = BTreeMap<String, Value>;

/// Value in a system's [`Metadata`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A real number.
    Real(f64),
    /// A piece of text.
    Text(String),
    /// Value with structure: array or table.
    Json(serde_json::Value),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Real(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
            Self::Json(v) => write!(f, "{v}"),
        }
    }
}

impl System {
    /// Number of atoms.
    pub fn n_atoms(&self) -> usize {
        self.atomic_numbers.len()
    }

    /// Whether atom `i` may move; true when the system has no `fixed` column.
    pub fn is_free(&self, i: usize) -> bool {
        self.fixed.as_ref().is_none_or(|fixed| !fixed[i])
    }

    /// Whether the system repeats along any lattice vector.
    pub fn is_periodic(&self) -> bool {
        self.cell.is_some() && self.pbc.iter().any(|&p| p)
    }

    /// Volume of the cell in Å³, absent without a cell.
    pub fn volume(&self) -> Option<f64> {
        self.cell.map(|[a, b, c]| dot(a, cross(b, c)).abs())
    }

    /// The system's `name` in its metadata, if it has one.
    pub fn name(&self) -> Option<String> {
        self.metadata.get("name").map(ToString::to_string)
    }
}

/// `a · b`
pub fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// `a × b`
pub fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
