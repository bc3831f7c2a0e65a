//! Nearest neighbours.

use super::difference;
use potstill_core::System;
use potstill_core::covalent_radii::covalent_radius;
use potstill_core::graph::frame::Frame;
use potstill_core::system::{Vec3, dot};

/// Atoms of a system whose neighbours are looked for.
const CENTRES: usize = 200;
/// Atoms up to which images beyond the nearest cell are looked at: only small cells need them.
const SMALL: usize = 40;
/// Elements that make no bonds.
const NOBLE: [u8; 6] = [2, 10, 18, 36, 54, 86];

/// Nearest neighbour of an atom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbor {
    /// The atom.
    pub atom: usize,
    /// Index of the nearest neighbour, in units of covalent radii.
    pub neighbor: usize,
    /// Vector from the neighbour to the atom in Å.
    pub bond: Vec3,
    /// Length of `bond` in units of the sum of both covalent radii.
    pub ratio: f64,
    /// Distance to the next nearest neighbour over the sum of covalent radii.
    pub next: f64,
}

/// Nearest neighbours of atoms of a system that have any.
pub(super) fn neighbors(system: &System) -> Vec<Neighbor> {
    let n = system.n_atoms();
    let frame = if system.is_periodic() { Frame::new(system).ok() } else { None };
    let step = n.div_ceil(CENTRES).max(1);
    (0..n).step_by(step).filter_map(|atom| nearest(system, frame.as_ref(), atom)).collect()
}

fn nearest(system: &System, frame: Option<&Frame>, atom: usize) -> Option<Neighbor> {
    let z = &system.atomic_numbers;
    let radius = radius(z[atom])?;
    let images = images(system, frame);
    let mut best: Option<Neighbor> = None;
    let mut next = f64::INFINITY;
    for (other, &z) in z.iter().enumerate() {
        let Some(sum) = self::radius(z).map(|r| r + radius) else { continue };
        let bond = shortest(difference(&system.positions[atom], &system.positions[other]), frame);
        for image in &images {
            let bond: Vec3 = std::array::from_fn(|k| bond[k] + image[k]);
            let ratio = dot(bond, bond).sqrt() / sum;
            // An atom is no neighbour of itself, but its images are.
            if other == atom && ratio < 1e-6 {
                continue;
            }
            match &mut best {
                Some(found) if ratio >= found.ratio => next = next.min(ratio),
                _ => {
                    next = best.map_or(next, |found| found.ratio);
                    best = Some(Neighbor { atom, neighbor: other, bond, ratio, next: 0.0 });
                }
            }
        }
    }
    best.filter(|found| found.ratio.is_finite()).map(|found| Neighbor { next, ..found })
}

fn radius(z: u8) -> Option<f64> {
    covalent_radius(z).filter(|_| !NOBLE.contains(&z))
}

/// Lattice vectors to add to a difference that is as short as rounding makes it.
fn images(system: &System, frame: Option<&Frame>) -> Vec<Vec3> {
    let Some(frame) = frame.filter(|_| system.n_atoms() <= SMALL) else { return vec![[0.0; 3]] };
    let range = |k: usize| if frame.periodic[k] { -1..=1 } else { 0..=0 };
    let mut images = Vec::with_capacity(27);
    for a in range(0) {
        for b in range(1) {
            images.extend(range(2).map(|c| frame.translation([a, b, c])));
        }
    }
    images
}

/// A difference of positions less the lattice vector that is nearest in fractional coordinates.
pub(super) fn shortest(difference: Vec3, frame: Option<&Frame>) -> Vec3 {
    let Some(frame) = frame else { return difference };
    let at = frame.coordinates(difference);
    let shift = std::array::from_fn(|k| if frame.periodic[k] { at[k].round() as i32 } else { 0 });
    let lattice = frame.translation(shift);
    std::array::from_fn(|k| difference[k] - lattice[k])
}
