//! Checks made before any graph is drawn.

use super::{GraphRule, Neighbors};
use crate::system::System;
use crate::{Error, Result};

/// Largest coordinate in Å, of an atom or of a lattice vector: beyond it f64 no longer resolves 1e-8 Å.
const MAX_COORDINATE: f64 = 1e8;

/// An [`Error::System`] with the system's own name.
pub(super) fn refuse(index: usize, system: &System, message: impl Into<String>) -> Error {
    Error::System { index, name: system.name(), message: message.into() }
}

/// Refuses a rule that can draw no graph.
pub(super) fn rule(rule: &GraphRule) -> Result<()> {
    if !(rule.cutoff.is_finite() && rule.cutoff > 0.0) {
        return Err(Error::setting("cutoff", format!("is {} Å; it must be positive and finite", rule.cutoff)));
    }
    if rule.neighbors == Neighbors::Nearest(0) {
        return Err(Error::setting("neighbors", "nearest = 0 leaves no edge; use at least 1, or \"all\""));
    }
    Ok(())
}

/// Refuses a system whose arrays disagree or hold something that is not a number.
pub(super) fn system(index: usize, system: &System) -> Result<()> {
    let n = system.positions.len();
    if system.atomic_numbers.len() != n {
        let message = format!("{} atomic numbers for {n} positions; give one of each", system.atomic_numbers.len());
        return Err(refuse(index, system, message));
    }
    if n == 0 {
        return Err(refuse(index, system, "has no atoms; leave it out"));
    }
    // Written so that NaN fails as well.
    let usable = |x: &f64| x.abs() <= MAX_COORDINATE;
    if let Some(atom) = system.positions.iter().position(|p| !p.iter().all(usable)) {
        let message = format!(
            "position of atom {atom} is {:?} Å; it must be finite and at most {MAX_COORDINATE:e}",
            system.positions[atom]
        );
        return Err(refuse(index, system, message));
    }
    if let Some(cell) = &system.cell {
        for (row, axis) in (0..3).zip(["a", "b", "c"]).filter(|(row, _)| system.pbc[*row]) {
            if !cell[row].iter().all(usable) {
                let message = format!(
                    "lattice vector {axis} is {:?} Å; it must be finite and at most {MAX_COORDINATE:e}",
                    cell[row]
                );
                return Err(refuse(index, system, message));
            }
        }
    }
    Ok(())
}

/// Refuses a batch with more atoms than edges can number.
pub(super) fn batch(systems: &[&System]) -> Result<()> {
    let n_atoms: usize = systems.iter().map(|s| s.positions.len()).sum();
    if u32::try_from(n_atoms).is_err() {
        return Err(Error::Other(format!("a batch of {n_atoms} atoms is too large; use smaller batches")));
    }
    Ok(())
}
