//! Part of a system that one process evaluates.
//!
//! In a simulation that is spread over processes each owns some atoms, and has copies of those of others that are within the cutoff of
//! its own: ghosts. It computes the features of its own atoms; after each layer an [`Exchange`] brings those of the ghosts, and on the
//! way back the gradients of what was summed at them. So ghosts reach one cutoff, not one for each layer, and nothing is computed
//! twice. A process writes forces on its own atoms and on ghosts; these are to be added to the forces of the atoms that they are
//! copies of.
//!
//! *Points* are places that neighbours are at: the process's own atoms, and copies of atoms, its own ones (in a periodic cell) or those
//! of others. *Rows* are what features are kept of: its own atoms, and ghosts. All copies of one atom may share a row.

mod edges;
mod exchange;
mod forces;

pub use exchange::{Exchange, NoGhosts, Rows};

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Error, Result};

/// Atoms of a process and the neighbours that they may have, which stay the same while atoms move a little.
#[derive(Debug, Clone, Default)]
pub struct Domain {
    n_local: usize,
    /// Atomic number of each row.
    atomic_numbers: Vec<u8>,
    /// Row of each point.
    rows: Vec<u32>,
    /// First neighbour of each of the process's own atoms, and their number at the end.
    first: Vec<usize>,
    /// Points that may come within the cutoff.
    neighbors: Vec<u32>,
}

impl Domain {
    /// Domain with the neighbours of each of its own atoms, of which there are as many as lists.
    ///
    /// - `atomic_numbers` of all points: the process's own atoms, then copies. Shape: `[n_points]`.
    /// - `rows` of all points: the number of the atom itself for own atoms, that of the original for copies of own atoms; for ghosts
    ///   numbers from that of own atoms on, which copies of one atom may share. Shape: `[n_points]`.
    /// - `lists`: points that may come within the cutoff of each own atom. Where one lists another of its own, that one lists it, too.
    ///
    /// # Errors
    /// Arrays that do not fit together.
    pub fn new<'a>(
        atomic_numbers: &[u8],
        rows: Vec<u32>,
        lists: impl IntoIterator<Item = &'a [u32], IntoIter: ExactSizeIterator>,
    ) -> Result<Self> {
        let lists = lists.into_iter();
        let n_local = lists.len();
        let wrong = |message: String| Err(Error::Other(format!("domain: {message}")));
        if atomic_numbers.len() != rows.len() || rows.len() < n_local {
            let (numbers, points) = (atomic_numbers.len(), rows.len());
            return wrong(format!("{numbers} atomic numbers and {points} rows of points, for {n_local} own atoms"));
        }
        let n_rows = rows.iter().map(|&row| row as usize + 1).max().unwrap_or(0).max(n_local);
        let mut of_rows = vec![None; n_rows];
        for (point, (&row, &z)) in rows.iter().zip(atomic_numbers).enumerate() {
            let row = row as usize;
            if point < n_local && row != point {
                return wrong(format!("own atom {point} has row {row}, not its own number"));
            }
            match of_rows[row].replace(z) {
                Some(other) if other != z => return wrong(format!("row {row} has atomic numbers {other} and {z}")),
                _ => {}
            }
        }
        let Some(of_rows) = of_rows.into_iter().collect::<Option<Vec<u8>>>() else {
            return wrong(format!("some of the rows {n_local} to {n_rows} belong to no ghost"));
        };
        let mut own = Self { n_local, atomic_numbers: of_rows, rows, first: vec![0], neighbors: Vec::new() };
        for list in lists {
            own.neighbors.extend_from_slice(list);
            own.first.push(own.neighbors.len());
        }
        match own.neighbors.iter().find(|&&point| point as usize >= own.rows.len()) {
            Some(point) => wrong(format!("a neighbour is point {point} of {}", own.rows.len())),
            None => Ok(own),
        }
    }

    /// Number of the process's own atoms.
    pub fn n_local(&self) -> usize {
        self.n_local
    }

    /// Number of own atoms and ghosts.
    pub fn n_rows(&self) -> usize {
        self.atomic_numbers.len()
    }

    /// Number of places that neighbours may be at.
    pub fn n_points(&self) -> usize {
        self.rows.len()
    }

    /// Atomic numbers of own atoms and ghosts. Shape: `[n_rows]`.
    pub fn atomic_numbers(&self) -> &[u8] {
        &self.atomic_numbers
    }

    /// Neighbours of an own atom.
    fn neighbors(&self, atom: usize) -> &[u32] {
        &self.neighbors[self.first[atom]..self.first[atom + 1]]
    }
}

/// Energies and forces of a domain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DomainPrediction {
    /// Energy of each own atom in eV. Shape: `[n_local]`.
    pub atomic_energies: Vec<f64>,
    /// Force on each own atom and on each ghost in eV/Å; the latter is part of the force on the atom that it is a copy of. Shape:
    /// `[n_rows, 3]`.
    pub forces: Vec<Vec3>,
    /// The domain's part of the virial `-∂E/∂strain` in eV; none for direct forces.
    pub virial: Option<Mat3>,
    /// Virial of each own atom and ghost in eV, where it was asked for: half of that of each edge at either end. Shape: `[n_rows, 3, 3]`.
    pub atomic_virials: Vec<Mat3>,
}
