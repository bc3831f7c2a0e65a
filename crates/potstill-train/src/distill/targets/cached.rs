//! Answers from a cache.

use burn::tensor::{DType, Device, Tensor};
use potstill_core::model::{EnergyScale, Tap};
use potstill_core::{Error, Result, System};
use potstill_nn::tensors::float_tensor;

use super::Targets;
use crate::distill::cache::TeacherCache;
use crate::distill::kind::Kind;
use crate::distill::probes::Probes;
use crate::prepared::Shard;

/// Cached answers about the systems of a shard.
pub struct CachedTargets<'a> {
    /// Cache of the training systems.
    pub cache: &'a TeacherCache,
    /// Systems that are asked about.
    pub shard: &'a Shard<'a>,
    /// Units of the student.
    pub units: &'a EnergyScale,
    /// Device of the student.
    pub device: &'a Device,
    /// Precision of the student.
    pub dtype: DType,
}

impl CachedTargets<'_> {
    fn rows(&self, values: Vec<f64>, width: usize) -> Tensor<2> {
        let rows = values.len() / width;
        float_tensor(values, [rows, width], self.device, self.dtype)
    }

    fn systems(&self) -> impl Iterator<Item = (usize, &System)> {
        self.shard.indices.iter().copied().zip(self.shard.systems())
    }
}

impl Targets for CachedTargets<'_> {
    fn energy(&self) -> Result<Tensor<2>> {
        let one = |(index, system): (usize, &System)| {
            self.units.raw_energy(self.cache.energy(index)?, &system.atomic_numbers)
        };
        Ok(self.rows(self.systems().map(one).collect::<Result<_>>()?, 1))
    }

    fn atomic_energies(&self) -> Result<Tensor<2>> {
        let mut all = Vec::new();
        for (index, system) in self.systems() {
            let energies = self.cache.atomic_energies(index)?;
            all.extend(self.units.raw_atomic_energies(energies, &system.atomic_numbers));
        }
        Ok(self.rows(all, 1))
    }

    fn forces(&self) -> Result<Tensor<2>> {
        let mut all = Vec::new();
        for &index in &self.shard.indices {
            let forces = self.cache.forces(index)?;
            all.extend(forces.as_chunks::<3>().0.iter().flat_map(|force| self.units.raw_force(*force)));
        }
        Ok(self.rows(all, 3))
    }

    fn virials(&self) -> Result<Tensor<2>> {
        let mut all = Vec::new();
        for &index in &self.shard.indices {
            let virial = self.cache.virial(index)?;
            let rows = virial.as_chunks::<3>().0.as_chunks::<3>().0;
            all.extend(rows.iter().flat_map(|virial| self.units.raw_virial(*virial)).flatten());
        }
        Ok(self.rows(all, 9))
    }

    fn force_derivatives(&self, _probes: &Probes) -> Result<Tensor<2>> {
        Err(Error::Other("derivatives of the forces belong to displaced systems".to_owned()))
    }

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        let components = if kind == Kind::Vector { 3 } else { 1 };
        let width = components * self.cache.channels(kind, tap).unwrap_or(1);
        Ok(self.rows(self.cache.features(kind, tap, &self.shard.indices)?, width))
    }
}

/// Cached derivatives of the forces, the answers about pairs of displaced systems.
pub struct CachedProbes<'a> {
    /// Answers about the systems that were displaced.
    pub systems: CachedTargets<'a>,
    /// Steps done before this one, which tell the probes.
    pub step: u64,
}

fn no_other() -> Error {
    Error::Other("a cache holds derivatives of the forces of displaced systems, and nothing else about them".to_owned())
}

impl Targets for CachedProbes<'_> {
    fn force_derivatives(&self, probes: &Probes) -> Result<Tensor<2>> {
        let CachedTargets { cache, shard, units, .. } = self.systems;
        let mut all = Vec::new();
        // Systems displaced to the other side come second.
        for &index in &shard.indices[..shard.indices.len() / 2] {
            let values = cache.force_derivative(index, probes.choose(self.step, index))?;
            all.extend(values.as_chunks::<3>().0.iter().flat_map(|row| units.raw_force(*row)));
        }
        Ok(self.systems.rows(all, 3))
    }

    fn energy(&self) -> Result<Tensor<2>> {
        Err(no_other())
    }

    fn atomic_energies(&self) -> Result<Tensor<2>> {
        Err(no_other())
    }

    fn forces(&self) -> Result<Tensor<2>> {
        Err(no_other())
    }

    fn virials(&self) -> Result<Tensor<2>> {
        Err(no_other())
    }

    fn features(&self, _kind: Kind, _tap: Tap) -> Result<Tensor<2>> {
        Err(no_other())
    }
}
