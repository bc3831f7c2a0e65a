//! What a teacher says of the systems of a shard, in the student's units: from its cache, or asked on the spot.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor};
use potstill_core::dataset::{ElementEnergies, Normalizer};
use potstill_core::{Error, Result, System};
use potstill_nn::batch::float_tensor;
use potstill_nn::features::Reduction;
use potstill_nn::model::Model;
use potstill_nn::{Architecture, Batch, Network, Output, Tap, parameters};

use super::{Kind, TeacherCache};
use crate::prepared::Shard;

/// Reference energies and normalisation of the student.
#[derive(Debug, Clone)]
pub struct StudentUnits {
    /// Energies of elements in eV.
    pub references: ElementEnergies,
    /// Between eV, eV/Å and what the network predicts.
    pub normalizer: Normalizer,
}

/// A teacher's answers about some systems, as tensors where the student is.
pub trait Targets {
    /// Energies of systems, normalised. Shape: `[n_systems, 1]`.
    ///
    /// # Errors
    /// A cache that lacks a tensor, an element without a reference energy.
    fn energy(&self) -> Result<Tensor<2>>;
    /// Energies of atoms, normalised. Shape: `[n_atoms, 1]`.
    ///
    /// # Errors
    /// As [`Targets::energy`].
    fn atomic_energies(&self) -> Result<Tensor<2>>;
    /// Forces, normalised. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`Targets::energy`]; a teacher without forces.
    fn forces(&self) -> Result<Tensor<2>>;
    /// Features, in the teacher's own units. Shape: `[rows, channels]`, vectors with three components of each channel.
    ///
    /// # Errors
    /// A cache that lacks a tensor, a teacher without such features.
    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>>;
}

/// Answers from the cache.
pub struct CachedTargets<'a> {
    /// Where they are kept.
    pub cache: &'a TeacherCache,
    /// Which systems.
    pub shard: &'a Shard<'a>,
    /// Of the student.
    pub units: &'a StudentUnits,
    /// Where the student is.
    pub device: &'a Device,
    /// Its precision.
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
            let total = self.units.references.total(&system.atomic_numbers)?;
            Ok(self.units.normalizer.normalize_energy(self.cache.energy(index)? - total))
        };
        Ok(self.rows(self.systems().map(one).collect::<Result<_>>()?, 1))
    }

    fn atomic_energies(&self) -> Result<Tensor<2>> {
        let StudentUnits { references, normalizer } = self.units;
        let mut all = Vec::new();
        for (index, system) in self.systems() {
            let share = normalizer.energy_mean / system.n_atoms() as f64;
            let atomic = |(z, e): (&u8, &f64)| (e - references.get(*z).unwrap_or(0.0) - share) / normalizer.energy_std;
            all.extend(system.atomic_numbers.iter().zip(&self.cache.atomic_energies(index)?).map(atomic));
        }
        Ok(self.rows(all, 1))
    }

    fn forces(&self) -> Result<Tensor<2>> {
        let mut all = Vec::new();
        for &index in &self.shard.indices {
            let forces = self.cache.forces(index)?;
            all.extend(forces.into_iter().map(|c| self.units.normalizer.normalize_force(c)));
        }
        Ok(self.rows(all, 3))
    }

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        let components = if kind == Kind::Vector { 3 } else { 1 };
        let width = components * self.cache.channels(kind, tap).unwrap_or(1);
        Ok(self.rows(self.cache.features(kind, tap, &self.shard.indices)?, width))
    }
}

/// A teacher that is asked at each step.
pub struct LiveTeacher {
    model: Model,
    /// The same network where gradients are recorded, made when it is first needed.
    tracked: OnceLock<Network>,
}

impl std::fmt::Debug for LiveTeacher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} asked at each step", self.architecture().name())
    }
}

impl LiveTeacher {
    /// A teacher from its model.
    pub fn new(model: Model) -> Self {
        Self { model, tracked: OnceLock::new() }
    }

    /// Its network's settings.
    pub fn architecture(&self) -> &Architecture {
        &self.model.header().model
    }

    /// Asks about `systems`; the answers are constants on `device`.
    ///
    /// # Errors
    /// An element that it does not know, a system of which no graph can be drawn.
    pub fn answer(
        &self,
        systems: &[&System],
        taps: &[Tap],
        units: &StudentUnits,
        device: &Device,
    ) -> Result<LiveTargets> {
        let (graph, output) = self.model.forward(systems, taps)?;
        let edges = Batch::new(graph.main(), self.model.device(), self.model.dtype());
        self.targets(systems, output, edges, units, device)
    }

    /// Asks about `systems` so that the answers can be differentiated with respect to the displacements of the batch that
    /// comes with them; for SchNet and PaiNN.
    ///
    /// # Errors
    /// As [`LiveTeacher::answer`].
    pub fn tracked_answer(
        &self,
        systems: &[&System],
        taps: &[Tap],
        units: &StudentUnits,
        device: &Device,
    ) -> Result<(LiveTargets, Batch)> {
        self.model.check_elements(systems)?;
        let graph = self.architecture().graph_rule().build_main(systems)?;
        let batch = Batch::new(&graph, device, self.model.dtype()).tracking_displacement();
        let network = self.tracked.get_or_init(|| self.network_on(device));
        let output = network.forward(&batch, self.architecture().forces(), taps);
        Ok((self.targets(systems, output, batch.clone(), units, device)?, batch))
    }

    /// The network with weights that record nothing, on a device that differentiates.
    fn network_on(&self, device: &Device) -> Network {
        use burn::module::Module;
        let network = self.model.network().clone();
        match self.model.dtype() {
            DType::F64 => {
                parameters::with_vector(network.clone(), &parameters::to_vector::<_, f64>(&network), device).no_grad()
            }
            _ => parameters::with_vector(network.clone(), &parameters::to_vector::<_, f32>(&network), device).no_grad(),
        }
    }

    fn targets(
        &self,
        systems: &[&System],
        output: Output,
        edges: Batch,
        units: &StudentUnits,
        device: &Device,
    ) -> Result<LiveTargets> {
        let (theirs, ours) = (&self.model.header().normalizer, &units.normalizer);
        let (mut energy_shift, mut atomic_shift) = (Vec::new(), Vec::new());
        let references = &self.model.header().reference_energies;
        for system in systems {
            // The difference of two large sums, in f64, before anything is f32.
            let total = references.total(&system.atomic_numbers)? - units.references.total(&system.atomic_numbers)?;
            energy_shift.push((total + theirs.energy_mean - ours.energy_mean) / ours.energy_std);
            let share = (theirs.energy_mean - ours.energy_mean) / system.n_atoms() as f64;
            atomic_shift.extend(system.atomic_numbers.iter().map(|&z| {
                let difference = references.get(z).unwrap_or(0.0) - units.references.get(z).unwrap_or(0.0);
                (difference + share) / ours.energy_std
            }));
        }
        Ok(LiveTargets {
            output,
            edges,
            energy_shift,
            atomic_shift,
            energy_scale: theirs.energy_std / ours.energy_std,
            force_scale: theirs.force_std / ours.force_std,
            device: device.clone(),
            dtype: self.model.dtype(),
        })
    }
}

/// What a [`LiveTeacher`] said.
pub struct LiveTargets {
    output: Output,
    edges: Batch,
    energy_shift: Vec<f64>,
    atomic_shift: Vec<f64>,
    energy_scale: f64,
    force_scale: f64,
    device: Device,
    dtype: DType,
}

impl LiveTargets {
    /// Mean length of the forces on atoms, in the teacher's units, times the number of atoms.
    pub fn sum_of_forces(&self) -> Option<Tensor<1>> {
        self.output.forces.clone().map(|forces| crate::loss::norm(forces).sum())
    }

    /// Brings a constant to the student's device.
    fn here(&self, values: Tensor<2>) -> Tensor<2> {
        if values.device().is_autodiff() {
            return values;
        }
        Tensor::from_data(values.into_data(), (&self.device, self.dtype))
    }

    fn shifted(&self, values: &Tensor<2>, shift: &[f64]) -> Tensor<2> {
        let shift = float_tensor(shift.to_vec(), [shift.len(), 1], &self.device, self.dtype);
        self.here(values.clone()).mul_scalar(self.energy_scale) + shift
    }
}

impl Targets for LiveTargets {
    fn energy(&self) -> Result<Tensor<2>> {
        Ok(self.shifted(&self.output.energy, &self.energy_shift))
    }

    fn atomic_energies(&self) -> Result<Tensor<2>> {
        Ok(self.shifted(&self.output.atomic_energies, &self.atomic_shift))
    }

    fn forces(&self) -> Result<Tensor<2>> {
        let forces = self.output.forces.clone();
        let forces = forces.ok_or_else(|| Error::setting("distill.teacher", "has no forces"))?;
        Ok(self.here(forces).mul_scalar(self.force_scale))
    }

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        let found = self.output.features.iter().find(|f| f.tap == tap);
        let values = found.and_then(|found| match kind {
            Kind::Node => Some(found.node.clone()),
            Kind::EdgeSum => Some(found.reduced_edges(&self.edges, Reduction::Sum)),
            Kind::Vector => found.vectors(&self.edges, Reduction::Sum),
            Kind::Edge => found.edges(&self.edges),
        });
        let values =
            values.ok_or_else(|| Error::setting("distill.teacher", format!("has no such features at {tap}")))?;
        Ok(self.here(values))
    }
}
