//! Positions, velocities and masses of a system in motion.

use potstill_core::masses::mass;
use potstill_core::system::Vec3;
use potstill_core::{Error, Result, System};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::constants::{ACCELERATION, BOLTZMANN};
use crate::random::standard_normal;

/// System in motion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Atoms with their positions in Å.
    pub system: System,
    /// Velocity of each atom in Å/fs, zero for fixed atoms. Shape: `[n_atoms, 3]`.
    pub velocities: Vec<Vec3>,
    /// Mass of each atom in u. Shape: `[n_atoms]`.
    pub masses: Vec<f64>,
}

impl State {
    /// State at rest.
    ///
    /// # Errors
    /// An element without a mass.
    pub fn at_rest(system: &System) -> Result<Self> {
        let of = |&z: &u8| mass(z).ok_or_else(|| Error::Other(format!("no mass for the element with number {z}")));
        let masses = system.atomic_numbers.iter().map(of).collect::<Result<Vec<_>>>()?;
        Ok(Self { system: system.clone(), velocities: vec![[0.0; 3]; masses.len()], masses })
    }

    /// State with velocities drawn from the Maxwell–Boltzmann distribution at a temperature in K; fixed atoms rest.
    ///
    /// # Errors
    /// An element without a mass.
    pub fn thermal(system: &System, temperature: f64, rng: &mut impl Rng) -> Result<Self> {
        let mut state = Self::at_rest(system)?;
        for i in 0..state.masses.len() {
            if system.is_free(i) {
                let speed = state.thermal_speed(i, temperature);
                state.velocities[i] = [(); 3].map(|()| speed * standard_normal(rng));
            }
        }
        Ok(state)
    }

    /// Standard deviation in Å/fs of a velocity component of one atom at a temperature in K.
    pub fn thermal_speed(&self, atom: usize, temperature: f64) -> f64 {
        (BOLTZMANN * temperature / self.masses[atom] * ACCELERATION).sqrt()
    }

    /// State of the atoms of both, those of `self` first.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.system.atomic_numbers.extend(other.system.atomic_numbers);
        self.system.positions.extend(other.system.positions);
        self.velocities.extend(other.velocities);
        self.masses.extend(other.masses);
        self
    }

    /// Kinetic energy in eV.
    pub fn kinetic_energy(&self) -> f64 {
        let square = |v: &Vec3| v.iter().map(|c| c * c).sum::<f64>();
        self.velocities.iter().zip(&self.masses).map(|(v, m)| 0.5 * m * square(v)).sum::<f64>() / ACCELERATION
    }

    /// Mass-weighted mean of one row per atom: centre of mass of positions, drift of velocities.
    pub fn mass_weighted_mean(&self, rows: &[Vec3]) -> Vec3 {
        let total: f64 = self.masses.iter().sum();
        std::array::from_fn(|c| rows.iter().zip(&self.masses).map(|(row, m)| m * row[c]).sum::<f64>() / total)
    }

    /// Subtracts the velocity of the centre of mass, so that the total momentum is zero.
    ///
    /// Does nothing where atoms are fixed: they hold the others, and momentum is not conserved.
    pub fn remove_drift(&mut self) {
        if self.has_fixed_atoms() {
            return;
        }
        let drift = self.mass_weighted_mean(&self.velocities);
        self.velocities.iter_mut().for_each(|v| *v = std::array::from_fn(|c| v[c] - drift[c]));
    }

    /// Moves positions along the velocities for a time in fs.
    pub fn drift(&mut self, time: f64) {
        for (position, velocity) in self.system.positions.iter_mut().zip(&self.velocities) {
            position.iter_mut().zip(velocity).for_each(|(x, v)| *x += time * v);
        }
    }

    /// Accelerates free atoms by forces in eV/Å for half of a timestep in fs.
    pub fn half_kick(&mut self, forces: &[Vec3], timestep: f64) {
        for (i, (velocity, force)) in self.velocities.iter_mut().zip(forces).enumerate() {
            if self.system.is_free(i) {
                let factor = 0.5 * timestep * ACCELERATION / self.masses[i];
                velocity.iter_mut().zip(force).for_each(|(v, f)| *v += factor * f);
            }
        }
    }
}
