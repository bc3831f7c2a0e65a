//! What a teacher says of the systems of a shard, in the student's units: from its cache, or asked on the spot.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor};
use potstill_core::model::{EnergyScale, ScaleChange, Tap};
use potstill_core::{Error, Result, System};
use potstill_nn::batch::float_tensor;
use potstill_nn::features::Reduction;
use potstill_nn::model::Model;
use potstill_nn::{Batch, Network, Output, parameters};

use super::{Kind, TeacherCache};
use crate::prepared::Shard;

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
    pub units: &'a EnergyScale,
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

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        let components = if kind == Kind::Vector { 3 } else { 1 };
        let width = components * self.cache.channels(kind, tap).unwrap_or(1);
        Ok(self.rows(self.cache.features(kind, tap, &self.shard.indices)?, width))
    }
}

/// Networks that are asked at each step.
pub struct LiveTeacher {
    models: Vec<Model>,
    /// The same networks where gradients are recorded, made when they are first needed.
    tracked: OnceLock<Vec<Network>>,
}

impl std::fmt::Debug for LiveTeacher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.models.iter().map(|model| model.header().model.name()).collect();
        write!(f, "{} asked at each step", names.join(", "))
    }
}

impl LiveTeacher {
    /// The mean of some networks, the first of which shows features.
    pub fn new(models: Vec<Model>) -> Self {
        Self { models, tracked: OnceLock::new() }
    }

    /// Asks about `systems`; the answers are constants on `device`.
    ///
    /// # Errors
    /// An element that it does not know, a system of which no graph can be drawn.
    pub fn answer(
        &self,
        systems: &[&System],
        taps: &[Tap],
        units: &EnergyScale,
        device: &Device,
    ) -> Result<LiveTargets> {
        let ask = |(k, model): (usize, &Model)| {
            let (graph, output) = model.forward(systems, if k == 0 { taps } else { &[] })?;
            let edges = Batch::new(graph.main(), model.device(), model.dtype());
            LiveAnswer::new(model, systems, output, edges, units, device)
        };
        Ok(LiveTargets { answers: self.models.iter().enumerate().map(ask).collect::<Result<_>>()? })
    }

    /// Asks about `systems` so that the answers can be differentiated with respect to the displacements of the batches that
    /// come with them; for SchNet and PaiNN.
    ///
    /// # Errors
    /// As [`LiveTeacher::answer`].
    pub fn tracked_answer(
        &self,
        systems: &[&System],
        taps: &[Tap],
        units: &EnergyScale,
        device: &Device,
    ) -> Result<(LiveTargets, Vec<Batch>)> {
        let networks = self.tracked.get_or_init(|| self.models.iter().map(|m| network_on(m, device)).collect());
        let (mut answers, mut batches) = (Vec::new(), Vec::new());
        for (k, (model, network)) in self.models.iter().zip(networks).enumerate() {
            model.check_elements(systems)?;
            let architecture = &model.header().model;
            let graph = architecture.graph_rule().build_main(systems)?;
            let batch = Batch::new(&graph, device, model.dtype()).tracking_displacement();
            let output = network.forward(&batch, architecture.forces(), if k == 0 { taps } else { &[] });
            answers.push(LiveAnswer::new(model, systems, output, batch.clone(), units, device)?);
            batches.push(batch);
        }
        Ok((LiveTargets { answers }, batches))
    }
}

/// A network with weights that record nothing, on a device that differentiates.
fn network_on(model: &Model, device: &Device) -> Network {
    use burn::module::Module;
    let network = model.network().clone();
    match model.dtype() {
        DType::F64 => {
            parameters::with_vector(network.clone(), &parameters::to_vector::<_, f64>(&network), device).no_grad()
        }
        _ => parameters::with_vector(network.clone(), &parameters::to_vector::<_, f32>(&network), device).no_grad(),
    }
}

/// What a [`LiveTeacher`] said.
pub struct LiveTargets {
    answers: Vec<LiveAnswer>,
}

impl LiveTargets {
    /// Sum of the lengths of the forces on atoms, in the units of each network, and the mean of that over networks.
    pub fn sum_of_forces(&self) -> Option<Tensor<1>> {
        mean(self.answers.iter().map(LiveAnswer::sum_of_forces)).ok().flatten()
    }
}

impl Targets for LiveTargets {
    fn energy(&self) -> Result<Tensor<2>> {
        mean(self.answers.iter().map(|a| Some(a.energy())))?.ok_or_else(no_network)
    }

    fn atomic_energies(&self) -> Result<Tensor<2>> {
        mean(self.answers.iter().map(|a| Some(a.atomic_energies())))?.ok_or_else(no_network)
    }

    fn forces(&self) -> Result<Tensor<2>> {
        mean(self.answers.iter().map(LiveAnswer::forces))?.ok_or_else(no_network)
    }

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        self.answers.first().ok_or_else(no_network)?.features(kind, tap)
    }
}

fn no_network() -> Error {
    Error::setting("distill.teacher", "names no network")
}

/// Mean of what each network says; none without networks.
///
/// # Errors
/// A network that does not say it.
fn mean<const D: usize>(values: impl ExactSizeIterator<Item = Option<Tensor<D>>>) -> Result<Option<Tensor<D>>> {
    let n = values.len();
    let missing = || Error::setting("distill.teacher", "names a network without forces");
    let mut sum: Option<Tensor<D>> = None;
    for value in values {
        let value = value.ok_or_else(missing)?;
        sum = Some(match sum {
            Some(sum) => sum + value,
            None => value,
        });
    }
    Ok(match n {
        1 => sum,
        _ => sum.map(|sum| sum.mul_scalar(1.0 / n as f64)),
    })
}

/// What one network said.
struct LiveAnswer {
    output: Output,
    edges: Batch,
    energy_shift: Vec<f64>,
    atomic_shift: Vec<f64>,
    energy_scale: f64,
    force_scale: f64,
    device: Device,
    dtype: DType,
}

impl LiveAnswer {
    fn new(
        model: &Model,
        systems: &[&System],
        output: Output,
        edges: Batch,
        units: &EnergyScale,
        device: &Device,
    ) -> Result<Self> {
        let change = ScaleChange { from: &model.header().scale, to: units };
        let (mut energy_shift, mut atomic_shift) = (Vec::new(), Vec::new());
        for system in systems {
            energy_shift.push(change.energy_shift(&system.atomic_numbers)?);
            atomic_shift.extend(change.atomic_energy_shifts(&system.atomic_numbers));
        }
        Ok(Self {
            output,
            edges,
            energy_shift,
            atomic_shift,
            energy_scale: change.energy_factor(),
            force_scale: change.force_factor(),
            device: device.clone(),
            dtype: model.dtype(),
        })
    }

    fn sum_of_forces(&self) -> Option<Tensor<1>> {
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

    fn energy(&self) -> Tensor<2> {
        self.shifted(&self.output.energy, &self.energy_shift)
    }

    fn atomic_energies(&self) -> Tensor<2> {
        self.shifted(&self.output.atomic_energies, &self.atomic_shift)
    }

    fn forces(&self) -> Option<Tensor<2>> {
        Some(self.here(self.output.forces.clone()?).mul_scalar(self.force_scale))
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
