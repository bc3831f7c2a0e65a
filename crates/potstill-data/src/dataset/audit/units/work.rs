//! Changes of the energy between similar frames, and the work that forces do between them.
//!
//! `E(b) − E(a) ≈ −½ (F(a) + F(b)) · (r(b) − r(a))`, exact for a harmonic potential and wrong by the third power of the
//! displacement otherwise. Frames need not be neighbours in the file: each is paired with those of the same atoms that are
//! most alike, and molecules are turned onto each other first.

use std::collections::HashMap;

use super::distances::shortest;
use super::{difference, median, quantile};
use crate::dataset::pseudo_inverse::PseudoInverse;
use potstill_core::System;
use potstill_core::graph::frame::Frame;
use potstill_core::system::{Mat3, Vec3, dot};

/// Frames of the same atoms that are compared with each other: the time grows with its square.
const FRAMES: usize = 400;
/// Frames that each one is paired with.
const PARTNERS: usize = 3;
/// Largest displacement of an atom between two frames in Å.
const FARTHEST: f64 = 0.6;
/// Changes of the energy in eV, and work, below which there is nothing but rounding.
const ROUNDING: f64 = 1e-5;
/// Pairs without which nothing is said.
const LEAST_PAIRS: usize = 40;
/// Standard errors by which pairs must agree on a sign.
const LEAST_SIGMA: f64 = 5.0;
/// Fraction of pairs that must agree on a sign.
const LEAST_AGREEMENT: f64 = 0.75;

/// Ratios of energies to the work of forces, over pairs of frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work {
    /// Median of the change of the energy over the work: 1; negative when forces have the wrong sign.
    pub ratio: f64,
    /// Ratio times the number of atoms: 1 where energies are per atom.
    pub ratio_per_atom: f64,
    /// Whether the latter varies less than the former: systems of several sizes tell both apart.
    pub is_per_atom: bool,
    /// Fraction of pairs with that sign.
    pub agreement: f64,
    /// Number of pairs.
    pub n_pairs: usize,
}

/// Work and stiffness between similar frames.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Work, change of the energy, number of atoms.
    work: Vec<[f64; 3]>,
    /// Change of the force along the displacement over its length in eV/Å².
    stiffness: Vec<f64>,
}

impl Pairs {
    /// Compares the frames among some systems.
    pub(super) fn of(systems: &[&System]) -> Self {
        let mut groups: HashMap<(&[u8], [bool; 3]), Vec<&System>> = HashMap::new();
        for &system in systems.iter().filter(|s| s.energy.is_some() && s.forces.is_some() && s.n_atoms() > 1) {
            let group = groups.entry((&system.atomic_numbers, system.pbc)).or_default();
            if group.len() < FRAMES {
                group.push(system);
            }
        }
        let mut pairs = Self::default();
        groups.into_values().for_each(|group| pairs.add_group(&group));
        pairs
    }

    fn add_group(&mut self, group: &[&System]) {
        let frames: Vec<Option<Frame>> =
            group.iter().map(|s| if s.is_periodic() { Frame::new(s).ok() } else { None }).collect();
        let traits: Vec<Vec<f64>> = group.iter().zip(&frames).map(|(s, f)| traits(s, f.is_some())).collect();
        let mut partners = Vec::with_capacity(PARTNERS * group.len());
        for (i, one) in traits.iter().enumerate() {
            let mut nearest = [(f64::INFINITY, 0); PARTNERS];
            for (j, other) in traits.iter().enumerate().filter(|(j, _)| *j != i) {
                let off = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
                if off < nearest[PARTNERS - 1].0 {
                    nearest[PARTNERS - 1] = (off, j);
                    nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                }
            }
            partners.extend(nearest.iter().filter(|n| n.0.is_finite()).map(|&(_, j)| (i.min(j), i.max(j))));
        }
        partners.sort_unstable();
        partners.dedup();
        for (i, j) in partners {
            self.add(group[i], group[j], frames[i].as_ref());
        }
    }

    fn add(&mut self, a: &System, b: &System, frame: Option<&Frame>) {
        let (Some(before), Some(after)) = (&a.forces, &b.forces) else { return };
        let Some(energy) = a.energy.zip(b.energy).map(|(a, b)| b - a) else { return };
        let moves = match frame {
            Some(frame) => periodic_moves(a, b, frame),
            None => turned_moves(a, b),
        };
        let Some((rotation, moves)) = moves else { return };
        if moves.iter().any(|d| dot(*d, *d) >= FARTHEST * FARTHEST) {
            return;
        }
        let (mut work, mut change, mut square) = (0.0, 0.0, 0.0);
        for ((force, end), step) in before.iter().zip(after).zip(&moves) {
            let start = rotation.map(|row| dot(row, *force));
            work -= 0.5 * (dot(start, *step) + dot(*end, *step));
            change -= dot(*end, *step) - dot(start, *step);
            square += dot(*step, *step);
        }
        if square > 1e-8 {
            self.stiffness.push(change / square);
        }
        if energy.abs() > ROUNDING && work.abs() > ROUNDING {
            self.work.push([work, energy, a.n_atoms() as f64]);
        }
    }

    /// Ratios of energies to the work of forces, where pairs are enough and agree.
    pub(super) fn work(&self) -> Option<Work> {
        let n_pairs = self.work.len();
        let positive = self.work.iter().filter(|[work, energy, _]| work * energy > 0.0).count();
        let agreement = positive.max(n_pairs - positive) as f64 / n_pairs.max(1) as f64;
        let sigma = (2.0 * agreement - 1.0) * (n_pairs as f64).sqrt();
        if n_pairs < LEAST_PAIRS || agreement < LEAST_AGREEMENT || sigma < LEAST_SIGMA {
            return None;
        }
        let ratio = |[work, energy, _]: &[f64; 3]| energy / work;
        let mut plain: Vec<f64> = self.work.iter().map(ratio).collect();
        let mut per_atom: Vec<f64> = self.work.iter().map(|pair| ratio(pair) * pair[2]).collect();
        let (ratio, ratio_per_atom) = (median(&mut plain)?, median(&mut per_atom)?);
        // Half of all numbers, as a part of the middle one.
        let width =
            |ratios: &mut [f64], middle: f64| Some((quantile(ratios, 0.75)? - quantile(ratios, 0.25)?) / middle.abs());
        let is_per_atom = width(&mut per_atom, ratio_per_atom)? < 0.9 * width(&mut plain, ratio)?;
        Some(Work { ratio, ratio_per_atom, is_per_atom, agreement, n_pairs })
    }

    /// Median stiffness along displacements in eV/Å², and the number of pairs.
    pub(super) fn stiffness(mut self) -> Option<(f64, usize)> {
        let n = self.stiffness.len();
        median(&mut self.stiffness).filter(|_| n >= LEAST_PAIRS).map(|stiffness| (stiffness, n))
    }
}

/// Numbers that are alike for similar frames: coordinates in a crystal, distances from three points in a molecule.
fn traits(system: &System, is_periodic: bool) -> Vec<f64> {
    let positions = &system.positions;
    if is_periodic {
        return positions.as_flattened().to_vec();
    }
    let points = [centre(positions), positions[0], positions[positions.len() - 1]];
    let distance = |p: &Vec3, from: &Vec3| dot(difference(p, from), difference(p, from)).sqrt();
    points.iter().flat_map(|point| positions.iter().map(move |p| distance(p, point))).collect()
}

fn centre(positions: &[Vec3]) -> Vec3 {
    let mut sum = [0.0; 3];
    positions.iter().for_each(|p| (0..3).for_each(|k| sum[k] += p[k]));
    sum.map(|s| s / positions.len() as f64)
}

const IDENTITY: Mat3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Displacements in one cell; none when the cells differ.
fn periodic_moves(a: &System, b: &System, frame: &Frame) -> Option<(Mat3, Vec<Vec3>)> {
    let (one, other) = (a.cell?, b.cell?);
    let is_same = one.as_flattened().iter().zip(other.as_flattened()).all(|(x, y)| (x - y).abs() < 1e-4);
    let moves = a.positions.iter().zip(&b.positions).map(|(a, b)| shortest(difference(b, a), Some(frame)));
    is_same.then(|| (IDENTITY, moves.collect()))
}

/// Displacements after the first molecule was turned onto the second, and that rotation (Horn, *J. Opt. Soc. Am. A* 1987).
fn turned_moves(a: &System, b: &System) -> Option<(Mat3, Vec<Vec3>)> {
    let (from, to) = (centre(&a.positions), centre(&b.positions));
    let mut s = [[0.0; 3]; 3];
    for (a, b) in a.positions.iter().zip(&b.positions) {
        let (a, b) = (difference(a, &from), difference(b, &to));
        (0..3).for_each(|i| (0..3).for_each(|j| s[i][j] += a[i] * b[j]));
    }
    let [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]] = s;
    #[rustfmt::skip]
    let matrix = vec![
        xx + yy + zz, yz - zy, zx - xz, xy - yx,
        yz - zy, xx - yy - zz, xy + yx, zx + xz,
        zx - xz, xy + yx, yy - xx - zz, yz + zy,
        xy - yx, zx + xz, yz + zy, zz - xx - yy,
    ];
    if matrix.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let [w, x, y, z]: [f64; 4] = PseudoInverse::new(matrix, 4).first_vector().try_into().ok()?;
    let rotation = [
        [w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ];
    let moves = a.positions.iter().zip(&b.positions).map(|(a, b)| {
        let turned = rotation.map(|row| dot(row, difference(a, &from)));
        difference(&difference(b, &to), &turned)
    });
    Some((rotation, moves.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_molecule_is_turned_back() {
        let positions = vec![[0.0, 0.1, 0.2], [1.0, 0.0, 0.0], [0.0, 1.5, 0.0], [0.3, 0.2, 2.0]];
        let one = System { atomic_numbers: vec![6; 4], positions, ..System::default() };
        let turn = |[x, y, z]: Vec3| [0.6 * x - 0.8 * y + 5.0, 0.8 * x + 0.6 * y, z - 1.0];
        let other = System { positions: one.positions.iter().map(|&p| turn(p)).collect(), ..one.clone() };
        let (rotation, moves) = turned_moves(&one, &other).unwrap();
        assert!(moves.as_flattened().iter().all(|d| d.abs() < 1e-12), "{moves:?}");
        let expected = [[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]];
        let off = rotation.as_flattened().iter().zip(expected.as_flattened()).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-12, "{rotation:?}");
    }
}
