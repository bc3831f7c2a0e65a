//! Motion of a system as a whole: drift, rotation, temperature, pressure, scaling.

use potstill_core::system::{Mat3, Vec3, cross};

use crate::constants::{ACCELERATION, BOLTZMANN};
use crate::linalg::{apply, eigen};
use crate::state::State;

/// Least moment of inertia, as a fraction of the largest, about an axis around which a molecule can be said to rotate.
const LEAST_MOMENT: f64 = 1e-4;

impl State {
    /// Number of atoms that may move.
    pub fn n_free(&self) -> usize {
        (0..self.masses.len()).filter(|&i| self.system.is_free(i)).count()
    }

    /// Whether any atom is held fixed, so that neither momentum nor angular momentum is conserved.
    pub fn has_fixed_atoms(&self) -> bool {
        self.system.fixed.as_ref().is_some_and(|fixed| fixed.contains(&true))
    }

    /// Sets the velocities of fixed atoms to zero.
    pub fn rest_fixed_atoms(&mut self) {
        for i in 0..self.masses.len() {
            if !self.system.is_free(i) {
                self.velocities[i] = [0.0; 3];
            }
        }
    }

    /// Subtracts the rotation about the centre of mass, so that the total angular momentum is zero, and returns the number of
    /// axes about which there can be any: 3, 2 for a linear molecule, 0 for one atom.
    ///
    /// Does nothing for periodic systems and for systems with fixed atoms, in which angular momentum is not conserved.
    pub fn remove_rotation(&mut self) -> usize {
        if self.system.is_periodic() || self.has_fixed_atoms() {
            return 0;
        }
        let centre = self.mass_weighted_mean(&self.system.positions);
        let arms: Vec<Vec3> = self.system.positions.iter().map(|r| std::array::from_fn(|c| r[c] - centre[c])).collect();
        let mut momentum = [0.0; 3];
        for ((arm, velocity), mass) in arms.iter().zip(&self.velocities).zip(&self.masses) {
            let each = cross(*arm, *velocity);
            momentum = std::array::from_fn(|c| momentum[c] + mass * each[c]);
        }
        let (moments, axes) = eigen(&inertia(&arms, &self.masses));
        let least = LEAST_MOMENT * moments.iter().fold(0.0_f64, |most, &m| most.max(m));
        let (mut n_axes, mut spin) = (0, [0.0; 3]);
        for (moment, axis) in moments.iter().zip(&axes) {
            if *moment > least {
                n_axes += 1;
                let rate = axis.iter().zip(&momentum).map(|(a, l)| a * l).sum::<f64>() / moment;
                spin = std::array::from_fn(|c| spin[c] + rate * axis[c]);
            }
        }
        for (velocity, arm) in self.velocities.iter_mut().zip(&arms) {
            let turning = cross(spin, *arm);
            *velocity = std::array::from_fn(|c| velocity[c] - turning[c]);
        }
        n_axes
    }

    /// Temperature in K for that many degrees of freedom; 0 without any.
    pub fn temperature(&self, degrees_of_freedom: usize) -> f64 {
        match degrees_of_freedom {
            0 => 0.0,
            n => 2.0 * self.kinetic_energy() / (n as f64 * BOLTZMANN),
        }
    }

    /// Multiplies all velocities by a factor.
    pub fn scale_velocities(&mut self, factor: f64) {
        self.velocities.iter_mut().flatten().for_each(|v| *v *= factor);
    }

    /// Tensor `Σ m v ⊗ v` in eV, twice the kinetic energy by its directions.
    pub fn kinetic_tensor(&self) -> Mat3 {
        let mut sum = [[0.0; 3]; 3];
        for (v, mass) in self.velocities.iter().zip(&self.masses) {
            let weight = mass / ACCELERATION;
            for (row, a) in sum.iter_mut().zip(v) {
                row.iter_mut().zip(v).for_each(|(entry, b)| *entry += weight * a * b);
            }
        }
        sum
    }

    /// Maps positions and lattice vectors by one matrix and velocities by another.
    pub(crate) fn map(&mut self, space: &Mat3, velocities: &Mat3) {
        self.system.positions.iter_mut().for_each(|r| *r = apply(space, r));
        self.system.cell.iter_mut().flatten().for_each(|vector| *vector = apply(space, vector));
        self.velocities.iter_mut().for_each(|v| *v = apply(velocities, v));
    }
}

/// Tensor of inertia in u·Å² about the origin.
fn inertia(arms: &[Vec3], masses: &[f64]) -> Mat3 {
    let mut sum = [[0.0; 3]; 3];
    for (r, mass) in arms.iter().zip(masses) {
        let square: f64 = r.iter().map(|x| x * x).sum();
        for (i, row) in sum.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                *entry += mass * (if i == j { square } else { 0.0 } - r[i] * r[j]);
            }
        }
    }
    sum
}
