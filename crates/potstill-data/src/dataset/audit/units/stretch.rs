//! Stiffness of bonds of hydrogen: it hardly depends on the molecule, the surface or the method.

use super::distances::Neighbor;
use super::median;
use potstill_core::System;
use potstill_core::system::dot;

/// Usual stiffness in eV/Å²; those of C–H, N–H and O–H are between 20 and 50.
pub(super) const USUAL: f64 = 32.0;
/// Bonds without which nothing is said.
const LEAST_BONDS: usize = 40;
/// Correlation of force and length without which nothing is said.
const LEAST_CORRELATION: f64 = 0.7;
/// Spread of lengths in Å without which nothing is said: constrained bonds.
const LEAST_SPREAD: f64 = 3e-3;
/// Farthest in Å from the middle length that counts: bonds that break are soft.
const NEAR: f64 = 0.15;

/// Stiffness of a kind of bond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// Minus the slope of the force along the bond with its length, in eV/Å²; negative when forces point the wrong way.
    pub stiffness: f64,
    /// Correlation of force and length, without sign.
    pub correlation: f64,
    /// Number of bonds.
    pub n_bonds: usize,
    /// Atomic number of the other atom.
    pub element: u8,
}

/// Lengths of bonds of hydrogen and the forces along them, by the other element: C, N, O.
#[derive(Debug, Default)]
pub(super) struct Bonds([Vec<[f64; 2]>; 3]);

impl Bonds {
    /// Takes in the bonds of a system.
    pub(super) fn add(&mut self, system: &System, neighbors: &[Neighbor]) {
        let Some(forces) = &system.forces else { return };
        for bond in neighbors {
            let z = system.atomic_numbers[bond.neighbor];
            let is_bond = system.atomic_numbers[bond.atom] == 1 && (6..=8).contains(&z);
            // Neither half way between two atoms nor torn off.
            if is_bond && bond.ratio < 1.35 && bond.next > 1.3 * bond.ratio {
                let length = dot(bond.bond, bond.bond).sqrt();
                let along = dot(forces[bond.atom], bond.bond) / length;
                self.0[usize::from(z - 6)].push([length, along]);
            }
        }
    }

    /// The kind of bond with most bonds, if it tells anything.
    pub(super) fn stretch(self) -> Option<Stretch> {
        let kinds = self.0.into_iter().zip(6..).filter_map(|(bonds, z)| fit(bonds, z));
        kinds.max_by_key(|stretch| stretch.n_bonds)
    }
}

fn fit(bonds: Vec<[f64; 2]>, element: u8) -> Option<Stretch> {
    let middle = median(&mut bonds.iter().map(|b| b[0]).collect::<Vec<_>>())?;
    let near: Vec<[f64; 2]> = bonds.into_iter().filter(|[r, f]| (r - middle).abs() < NEAR && f.is_finite()).collect();
    let n = near.len() as f64;
    let mean = |k: usize| near.iter().map(|b| b[k]).sum::<f64>() / n;
    let (length, force) = (mean(0), mean(1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| near.iter().map(|&[r, f]| of(r - length, f - force)).sum::<f64>();
    let (rr, rf, ff) = (sum(&|r, _| r * r), sum(&|r, f| r * f), sum(&|_, f| f * f));
    let correlation = (rf / (rr * ff).sqrt()).abs();
    let tells = near.len() >= LEAST_BONDS && (rr / n).sqrt() > LEAST_SPREAD && correlation >= LEAST_CORRELATION;
    tells.then_some(Stretch { stiffness: -rf / rr, correlation, n_bonds: near.len(), element })
}
