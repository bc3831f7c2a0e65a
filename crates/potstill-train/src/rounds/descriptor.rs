//! Descriptor of a structure that does not change when it is moved, turned or its atoms are renumbered.
//!
//! Every atom has a sum of smooth functions of the distances to its neighbours for each element (the radial symmetry functions of
//! J. Behler, M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007)). Mean and standard deviation of these over the atoms of each
//! element make the descriptor of the structure.

use std::f64::consts::PI;

use potstill_core::graph::{GraphRule, Neighbors};
use potstill_core::{Result, System};

/// Distance in Å beyond which atoms are not seen.
const CUTOFF: f64 = 5.0;
/// Radial functions.
const N_RADIAL: usize = 10;
/// Distance of the first radial function in Å.
const FIRST: f64 = 0.8;

/// Descriptors of structures of certain elements.
#[derive(Debug, Clone)]
pub struct Descriptors {
    elements: Vec<u8>,
}

impl Descriptors {
    /// Descriptors for these elements.
    pub fn new(mut elements: Vec<u8>) -> Self {
        elements.sort_unstable();
        elements.dedup();
        Self { elements }
    }

    fn place(&self, atomic_number: u8) -> Option<usize> {
        self.elements.binary_search(&atomic_number).ok()
    }

    /// Descriptor of a structure; atoms of other elements are left out.
    ///
    /// # Errors
    /// An unusable cell, two atoms at one place.
    pub fn of(&self, system: &System) -> Result<Vec<f32>> {
        let rule = GraphRule { cutoff: CUTOFF, neighbors: Neighbors::All, symmetric: false };
        let graph = rule.build(&[system])?;
        let n_elements = self.elements.len();
        let width = n_elements * N_RADIAL;
        let mut atoms = vec![0.0_f64; system.n_atoms() * width];
        for (edge, distance) in graph.distances().into_iter().enumerate() {
            let (target, source) = (graph.target[edge] as usize, graph.source[edge] as usize);
            let Some(element) = self.place(system.atomic_numbers[source]) else { continue };
            let envelope = 0.5 * (1.0 + (PI * distance / CUTOFF).cos());
            let first = target * width + element * N_RADIAL;
            for (k, value) in atoms[first..first + N_RADIAL].iter_mut().enumerate() {
                *value += envelope * radial(k, distance);
            }
        }
        let mut descriptor = vec![0.0_f32; 2 * n_elements * width];
        for (element, &z) in self.elements.iter().enumerate() {
            let own: Vec<&[f64]> = (0..system.n_atoms())
                .filter(|&i| system.atomic_numbers[i] == z)
                .map(|i| &atoms[i * width..][..width])
                .collect();
            let n = own.len().max(1) as f64;
            for k in 0..width {
                let mean = own.iter().map(|row| row[k]).sum::<f64>() / n;
                let variance = own.iter().map(|row| (row[k] - mean).powi(2)).sum::<f64>() / n;
                descriptor[2 * element * width + k] = mean as f32;
                descriptor[(2 * element + 1) * width + k] = variance.sqrt() as f32;
            }
        }
        Ok(descriptor)
    }
}

/// Gaussian at one of the evenly spaced distances, as wide as their spacing.
fn radial(k: usize, distance: f64) -> f64 {
    let spacing = (CUTOFF - FIRST) / N_RADIAL as f64;
    (-((distance - FIRST - spacing * k as f64) / spacing).powi(2)).exp()
}

/// Distance of two descriptors.
pub fn distance(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_testkit::systems::{crystal, molecule};

    fn elements(system: &System) -> Vec<u8> {
        system.atomic_numbers.clone()
    }

    #[test]
    fn moving_turning_and_renumbering_change_nothing() {
        let system = molecule(9, 3);
        let descriptors = Descriptors::new(elements(&system));
        let here = descriptors.of(&system).unwrap();
        let (sin, cos) = 0.7_f64.sin_cos();
        let mut other = system.clone();
        other.positions.iter_mut().for_each(|[x, y, z]| {
            (*x, *y) = (cos * *x - sin * *y + 3.0, sin * *x + cos * *y - 1.0);
            *z += 0.5;
        });
        other.positions.reverse();
        other.atomic_numbers.reverse();
        assert!(distance(&here, &descriptors.of(&other).unwrap()) < 1e-4);
        other.positions[0][0] += 0.1;
        assert!(distance(&here, &descriptors.of(&other).unwrap()) > 1e-2);
    }

    #[test]
    fn a_crystal_repeated_is_the_same_structure() {
        let system = crystal(4, [true; 3], 5);
        let descriptors = Descriptors::new(elements(&system));
        let cell = system.cell.unwrap();
        let mut twice = system.clone();
        twice.atomic_numbers.extend(system.atomic_numbers.clone());
        twice.positions.extend(system.positions.iter().map(|r| std::array::from_fn(|c| r[c] + cell[0][c])));
        twice.cell = Some([cell[0].map(|x| 2.0 * x), cell[1], cell[2]]);
        twice.fixed = None;
        twice.tags = None;
        let [one, two] = [&system, &twice].map(|s| descriptors.of(s).unwrap());
        assert!(distance(&one, &two) < 1e-4);
    }
}
