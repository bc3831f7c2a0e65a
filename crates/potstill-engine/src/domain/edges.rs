//! Edges of a domain: the neighbours that are within the cutoff now.

use potstill_core::system::Vec3;
use potstill_core::{Error, Result};
use rayon::prelude::*;

use super::Domain;
use crate::edges::Neighbor;

/// Atoms whose edges one task counts.
const ATOMS_PER_TASK: usize = 256;
/// Square of the distance in Å up to which two atoms are at one place.
const SAME_PLACE: f64 = 1e-8;

impl Domain {
    /// Counts the edges into the own atoms before each, and into all at the end. Shape: `[n_local + 1]`.
    ///
    /// # Errors
    /// Positions that are not finite, two atoms at one place.
    pub(crate) fn count_edges(&self, positions: &[Vec3], cutoff: f64, counts: &mut Vec<usize>) -> Result<()> {
        if positions.len() != self.n_points() {
            let (given, expected) = (positions.len(), self.n_points());
            return Err(Error::Other(format!("domain: {given} positions for {expected} points")));
        }
        counts.clear();
        counts.resize(self.n_local + 1, 0);
        let step = if rayon::current_num_threads() == 1 { self.n_local.max(1) } else { ATOMS_PER_TASK };
        let count = |(task, counts): (usize, &mut [usize])| -> Result<()> {
            for (atom, count) in (task * step..).zip(counts) {
                *count = self.count(atom, positions, cutoff * cutoff)?;
            }
            Ok(())
        };
        match self.n_local <= step {
            true => count((0, &mut counts[1..]))?,
            false => counts[1..].par_chunks_mut(step).enumerate().map(count).collect::<Result<()>>()?,
        }
        (0..self.n_local).for_each(|atom| counts[atom + 1] += counts[atom]);
        Ok(())
    }

    /// Neighbours of an own atom within the cutoff; they are rows.
    #[inline]
    pub(crate) fn within(&self, atom: usize, positions: &[Vec3], cutoff2: f64) -> impl Iterator<Item = Neighbor> {
        let own = positions[atom];
        self.neighbors(atom).iter().filter_map(move |&point| {
            let other = positions[point as usize];
            let displacement: Vec3 = std::array::from_fn(|c| other[c] - own[c]);
            let distance2 = displacement.iter().map(|c| c * c).sum::<f64>();
            let neighbor = Neighbor { other: self.rows[point as usize], displacement, distance2 };
            (distance2 <= cutoff2).then_some(neighbor)
        })
    }

    /// Number of neighbours within the cutoff.
    fn count(&self, atom: usize, positions: &[Vec3], cutoff2: f64) -> Result<usize> {
        let mut count = 0;
        let own = positions[atom];
        for &point in self.neighbors(atom) {
            let other = positions[point as usize];
            let distance2 = (0..3).map(|c| (other[c] - own[c]) * (other[c] - own[c])).sum::<f64>();
            count += usize::from(distance2 <= cutoff2);
            if distance2.is_nan() || distance2 <= SAME_PLACE {
                return Err(refuse(atom, point as usize, positions));
            }
        }
        // Atoms without neighbours, too.
        match own.iter().all(|c| c.is_finite()) {
            true => Ok(count),
            false => Err(refuse(atom, atom, positions)),
        }
    }
}

/// Error about two places of which no edge can be made.
fn refuse(atom: usize, point: usize, positions: &[Vec3]) -> Error {
    let lost = [atom, point].into_iter().find(|&at| !positions[at].iter().all(|c| c.is_finite()));
    Error::Other(match lost {
        Some(at) => format!("position of atom {at} is {:?} Å; it must be finite", positions[at]),
        None => format!("atoms {atom} and {point} are at one place, {:?} Å", positions[atom]),
    })
}
