//! Edges of a domain: the neighbours that are within the cutoff now.

use potstill_core::system::Vec3;
use potstill_core::{Error, Result};
use potstill_kernels::Number;
use rayon::prelude::*;

use super::Domain;
use crate::edges::EdgeList;
use crate::tasks::{Parts, run};

/// Atoms whose edges one task finds.
const ATOMS_PER_TASK: usize = 256;
/// Square of the distance in Å up to which two atoms are at one place.
const SAME_PLACE: f64 = 1e-8;

/// Edges into a range of own atoms, to be written.
struct FillTask<'a, T> {
    atoms: std::ops::Range<usize>,
    other: &'a mut [u32],
    distance: &'a mut [T],
    direction: &'a mut [[T; 3]],
}

impl Domain {
    /// Fills a list with the edges into own atoms; its other ends are rows.
    ///
    /// # Errors
    /// Positions that are not finite, two atoms at one place.
    pub(crate) fn fill<T: Number>(&self, positions: &[Vec3], cutoff: f64, list: &mut EdgeList<T>) -> Result<()> {
        if positions.len() != self.n_points() {
            let (given, expected) = (positions.len(), self.n_points());
            return Err(Error::Other(format!("domain: {given} positions for {expected} points")));
        }
        let EdgeList { first, other, distance, direction } = list;
        first.clear();
        first.resize(self.n_local + 1, 0);
        let step = if rayon::current_num_threads() == 1 { self.n_local.max(1) } else { ATOMS_PER_TASK };
        let count = |(task, counts): (usize, &mut [usize])| -> Result<()> {
            for (atom, count) in (task * step..).zip(counts) {
                *count = self.count(atom, positions, cutoff * cutoff)?;
            }
            Ok(())
        };
        match self.n_local <= step {
            true => count((0, &mut first[1..]))?,
            false => first[1..].par_chunks_mut(step).enumerate().map(count).collect::<Result<()>>()?,
        }
        (0..self.n_local).for_each(|atom| first[atom + 1] += first[atom]);
        let n_edges = first[self.n_local];
        other.resize(n_edges, 0);
        distance.resize(n_edges, T::ZERO);
        direction.resize(n_edges, [T::ZERO; 3]);
        let (mut other, mut distance, mut direction) = (Parts::of(other), Parts::of(distance), Parts::of(direction));
        let tasks = (0..self.n_local).step_by(step).map(|start| {
            let atoms = start..(start + step).min(self.n_local);
            let n = first[atoms.end] - first[atoms.start];
            FillTask { atoms, other: other.next(n), distance: distance.next(n), direction: direction.next(n) }
        });
        run(tasks.collect(), |task| {
            let places = task.other.iter_mut().zip(task.distance).zip(task.direction);
            let neighbors = task.atoms.flat_map(|atom| self.within(atom, positions, cutoff * cutoff));
            for ((point, displacement, distance2), ((other, distance), direction)) in neighbors.zip(places) {
                let length = distance2.sqrt();
                (*other, *distance) = (self.rows[point as usize], T::of(length));
                *direction = displacement.map(|c| T::of(c / length));
            }
        });
        Ok(())
    }

    /// Neighbours of an own atom within the cutoff: point, vector to it, square of its length.
    #[inline]
    fn within(&self, atom: usize, positions: &[Vec3], cutoff2: f64) -> impl Iterator<Item = (u32, Vec3, f64)> {
        let own = positions[atom];
        self.neighbors(atom).iter().filter_map(move |&point| {
            let other = positions[point as usize];
            let displacement: Vec3 = std::array::from_fn(|c| other[c] - own[c]);
            let distance2 = displacement.iter().map(|c| c * c).sum::<f64>();
            (distance2 <= cutoff2).then_some((point, displacement, distance2))
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
