//! Conversion between a network's raw outputs and eV, eV/Å.
//!
//! This is the only code that converts them. Sums are f64; see "Energies in a network" in `CONVENTIONS.md`.

use serde::{Deserialize, Serialize};

use super::{ElementEnergies, Normalizer};
use crate::Result;
use crate::system::{Mat3, Vec3};

/// Reference energies and normalisation of a model: `E = raw · energy_std + energy_mean + Σ E0`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EnergyScale {
    /// Energy of each element in eV, added to the network's energies.
    pub reference_energies: ElementEnergies,
    /// Shift and scale between the network's outputs and eV, eV/Å.
    pub normalizer: Normalizer,
}

impl EnergyScale {
    /// Energy of a system in eV from the network's output.
    ///
    /// # Errors
    /// An element without a reference energy.
    pub fn energy(&self, raw: f64, atomic_numbers: &[u8]) -> Result<f64> {
        Ok(self.normalizer.denormalize_energy(raw) + self.reference_energies.total(atomic_numbers)?)
    }

    /// Normalised energy of a system from one in eV; inverse of [`Self::energy`].
    ///
    /// # Errors
    /// An element without a reference energy.
    pub fn raw_energy(&self, energy: f64, atomic_numbers: &[u8]) -> Result<f64> {
        Ok(self.normalizer.normalize_energy(energy - self.reference_energies.total(atomic_numbers)?))
    }

    /// Energies of the atoms of a system in eV from the network's outputs; each gets its reference energy and an equal share of
    /// the mean, so that they add up to [`Self::energy`].
    pub fn atomic_energies(
        &self,
        raw: impl IntoIterator<Item = f64>,
        atomic_numbers: &[u8],
    ) -> impl Iterator<Item = f64> {
        self.atomic_energies_of_part(raw, atomic_numbers, atomic_numbers.len())
    }

    /// Energies in eV of some atoms of a system of `n_atoms`, as [`Self::atomic_energies`].
    pub fn atomic_energies_of_part(
        &self,
        raw: impl IntoIterator<Item = f64>,
        atomic_numbers: &[u8],
        n_atoms: usize,
    ) -> impl Iterator<Item = f64> {
        let share = self.share_of_mean(n_atoms);
        let std = self.normalizer.energy_std;
        raw.into_iter().zip(atomic_numbers).map(move |(raw, &z)| raw * std + share + self.reference(z))
    }

    /// Normalised energies of the atoms of a system from those in eV; inverse of [`Self::atomic_energies`].
    pub fn raw_atomic_energies(
        &self,
        energies: impl IntoIterator<Item = f64>,
        atomic_numbers: &[u8],
    ) -> impl Iterator<Item = f64> {
        let share = self.share_of_mean(atomic_numbers.len());
        let std = self.normalizer.energy_std;
        energies.into_iter().zip(atomic_numbers).map(move |(e, &z)| (e - self.reference(z) - share) / std)
    }

    /// Force on an atom in eV/Å from the network's output.
    pub fn force(&self, raw: Vec3) -> Vec3 {
        raw.map(|component| self.normalizer.denormalize_force(component))
    }

    /// Normalised force from one in eV/Å; inverse of [`Self::force`].
    pub fn raw_force(&self, force: Vec3) -> Vec3 {
        force.map(|component| self.normalizer.normalize_force(component))
    }

    /// Factor from a derivative of the network's energy to one in eV, for gradient forces and virials.
    pub fn gradient_factor(&self) -> f64 {
        self.normalizer.energy_std
    }

    /// Virial of a system in eV from the network's output.
    pub fn virial(&self, raw: Mat3) -> Mat3 {
        raw.map(|row| row.map(|component| component * self.gradient_factor()))
    }

    /// Normalised virial from one in eV; inverse of [`Self::virial`].
    pub fn raw_virial(&self, virial: Mat3) -> Mat3 {
        virial.map(|row| row.map(|component| component / self.gradient_factor()))
    }

    fn share_of_mean(&self, n_atoms: usize) -> f64 {
        self.normalizer.energy_mean / n_atoms as f64
    }

    fn reference(&self, atomic_number: u8) -> f64 {
        self.reference_energies.get(atomic_number).unwrap_or(0.0)
    }
}

/// Conversion of normalised outputs of one model into those of another: `raw · factor + shift`.
#[derive(Debug, Clone, Copy)]
pub struct ScaleChange<'a> {
    /// Scale that the outputs have.
    pub from: &'a EnergyScale,
    /// Scale that is wanted.
    pub to: &'a EnergyScale,
}

impl ScaleChange<'_> {
    /// Factor of energies of systems and atoms.
    pub fn energy_factor(&self) -> f64 {
        self.from.normalizer.energy_std / self.to.normalizer.energy_std
    }

    /// Factor of forces.
    pub fn force_factor(&self) -> f64 {
        self.from.normalizer.force_std / self.to.normalizer.force_std
    }

    /// Shift of the energy of a system: a difference of two large sums, in f64 before anything is f32.
    ///
    /// # Errors
    /// An element without a reference energy in either scale.
    pub fn energy_shift(&self, atomic_numbers: &[u8]) -> Result<f64> {
        let (from, to) = (&self.from.normalizer, &self.to.normalizer);
        let total =
            self.from.reference_energies.total(atomic_numbers)? - self.to.reference_energies.total(atomic_numbers)?;
        Ok((total + from.energy_mean - to.energy_mean) / to.energy_std)
    }

    /// Shift of the energy of each atom of a system.
    pub fn atomic_energy_shifts(&self, atomic_numbers: &[u8]) -> impl Iterator<Item = f64> {
        let (from, to) = (&self.from.normalizer, &self.to.normalizer);
        let share = (from.energy_mean - to.energy_mean) / atomic_numbers.len() as f64;
        let std = to.energy_std;
        atomic_numbers.iter().map(move |&z| (self.from.reference(z) - self.to.reference(z) + share) / std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(hydrogen: f64, mean: f64, std: f64) -> EnergyScale {
        let reference_energies = ElementEnergies::new([(1, hydrogen), (8, -2000.0)]);
        EnergyScale {
            reference_energies,
            normalizer: Normalizer { energy_mean: mean, energy_std: std, force_std: 3.0 },
        }
    }

    #[test]
    fn atoms_add_up_to_the_system_and_back() {
        let scale = scale(-13.5, -0.7, 2.5);
        let (water, raw) = ([8, 1, 1], [0.2, -0.4, 0.1]);
        let energy = scale.energy(raw.iter().sum(), &water).unwrap();
        let atomic: Vec<f64> = scale.atomic_energies(raw, &water).collect();
        assert!((atomic.iter().sum::<f64>() - energy).abs() < 1e-11);
        assert!((scale.raw_energy(energy, &water).unwrap() - raw.iter().sum::<f64>()).abs() < 1e-12);
        for (back, raw) in scale.raw_atomic_energies(atomic, &water).zip(raw) {
            assert!((back - raw).abs() < 1e-12);
        }
        assert_eq!(scale.raw_force(scale.force([1.0, -2.0, 0.5])), [1.0, -2.0, 0.5]);
        assert!(scale.energy(0.0, &[6]).is_err());
    }

    #[test]
    fn changes_of_scale_pass_through_electronvolts() {
        let (from, to) = (scale(-13.5, -0.7, 2.5), scale(-10.0, 0.3, 0.5));
        let change = ScaleChange { from: &from, to: &to };
        let (water, raw) = ([8, 1, 1], 0.4);
        let wanted = to.raw_energy(from.energy(raw, &water).unwrap(), &water).unwrap();
        assert!((raw * change.energy_factor() + change.energy_shift(&water).unwrap() - wanted).abs() < 1e-10);
        let atomic: Vec<f64> = from.atomic_energies([raw; 3], &water).collect();
        let wanted = to.raw_atomic_energies(atomic, &water);
        for (wanted, shift) in wanted.zip(change.atomic_energy_shifts(&water)) {
            assert!((raw * change.energy_factor() + shift - wanted).abs() < 1e-10);
        }
    }
}
