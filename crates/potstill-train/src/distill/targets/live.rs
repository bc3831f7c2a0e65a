//! Answers of a teacher that is asked at each step.

use std::sync::{Arc, OnceLock};

use burn::tensor::{DType, Device, Tensor};
use potstill_core::model::{ElementEnergies, EnergyScale, ScaleChange, Tap};
use potstill_core::{Error, Potential, Result, System};
use potstill_data::program::Program;
use potstill_nn::device::cpu;
use potstill_nn::features::Reduction;
use potstill_nn::model::Model;
use potstill_nn::tensors::float_tensor;
use potstill_nn::{Batch, Network, Output, parameters};

use super::{Targets, central_difference};
use crate::distill::kind::Kind;
use crate::distill::probes::Probes;

/// Teacher that is asked at each step.
#[derive(Debug)]
pub struct LiveTeacher(Asked);

#[derive(Debug)]
enum Asked {
    Networks(Networks),
    /// A program, and the precision of the student.
    Program(Arc<Program>, DType),
}

/// Networks that are asked together.
struct Networks {
    models: Vec<Model>,
    /// Networks on a device that records gradients, made when they are first needed.
    tracked: OnceLock<Vec<Network>>,
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.models.iter().map(|model| model.header().model.name()).collect();
        write!(f, "{}", names.join(", "))
    }
}

impl LiveTeacher {
    /// A teacher that is the mean of some networks and shows features of the first.
    pub fn new(models: Vec<Model>) -> Self {
        Self(Asked::Networks(Networks { models, tracked: OnceLock::new() }))
    }

    /// A teacher that is a running program, without features; answers are in the precision of the student.
    pub fn program(program: Arc<Program>, dtype: DType) -> Self {
        Self(Asked::Program(program, dtype))
    }

    /// Answers about `systems`, as constants on `device`.
    ///
    /// # Errors
    /// An element that it does not know, a system of which no graph can be drawn, a program that does not answer.
    pub fn answer(
        &self,
        systems: &[&System],
        taps: &[Tap],
        units: &EnergyScale,
        device: &Device,
    ) -> Result<LiveTargets> {
        let networks = match &self.0 {
            Asked::Networks(networks) => networks,
            Asked::Program(program, dtype) => {
                return Ok(LiveTargets { answers: vec![of_program(program, systems, units, (device, *dtype))?] });
            }
        };
        let ask = |(k, model): (usize, &Model)| {
            let (graph, output) = model.forward(systems, if k == 0 { taps } else { &[] })?;
            let edges = Batch::new(graph.main(), model.device(), model.dtype());
            let change = ScaleChange { from: &model.header().scale, to: units };
            LiveAnswer::new((output, Some(edges)), systems, &change, device, model.dtype())
        };
        Ok(LiveTargets { answers: networks.models.iter().enumerate().map(ask).collect::<Result<_>>()? })
    }

    /// Answers about `systems` that can be differentiated with respect to the displacements of the batches that come with them;
    /// for SchNet and PaiNN.
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
        let Asked::Networks(Networks { models, tracked }) = &self.0 else {
            let message = "attacks need the gradient of the teacher, which a program does not give; give a model file";
            return Err(Error::setting("distill.augmentation", message));
        };
        let networks = tracked.get_or_init(|| models.iter().map(|m| network_on(m, device)).collect());
        let (mut answers, mut batches) = (Vec::new(), Vec::new());
        for (k, (model, network)) in models.iter().zip(networks).enumerate() {
            model.check_elements(systems)?;
            let architecture = &model.header().model;
            let graph = architecture.graph_rule().build_main(systems)?;
            let batch = Batch::new(&graph, device, model.dtype()).tracking_displacement();
            let output = network.forward(&batch, architecture.forces(), if k == 0 { taps } else { &[] });
            let change = ScaleChange { from: &model.header().scale, to: units };
            answers.push(LiveAnswer::new((output, Some(batch.clone())), systems, &change, device, model.dtype())?);
            batches.push(batch);
        }
        Ok((LiveTargets { answers }, batches))
    }
}

/// Network on a device that differentiates, with weights that record no gradient.
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

/// Answer of a program about systems, in f64 and eV until it is in the student's units.
fn of_program(
    program: &Program,
    systems: &[&System],
    units: &EnergyScale,
    (device, dtype): (&Device, DType),
) -> Result<LiveAnswer> {
    let prediction = program.evaluate(systems)?;
    let here = cpu();
    let column = |values: Vec<f64>, width: usize| {
        let shape = [values.len() / width, width];
        float_tensor(values, shape, &here, DType::F64)
    };
    let output = Output {
        energy: column(prediction.energy, 1),
        atomic_energies: column(prediction.atomic_energies, 1),
        forces: Some(column(prediction.forces.into_flattened(), 3)),
        virial: prediction.virial.map(|virials| column(virials.into_flattened().into_flattened(), 9)),
        features: Vec::new(),
    };
    // A program counts from its own zero: no element has an energy of its own.
    let zeros = ElementEnergies::new((1..=118).map(|z| (z, 0.0)));
    let plain = EnergyScale { reference_energies: zeros, ..EnergyScale::default() };
    LiveAnswer::new((output, None), systems, &ScaleChange { from: &plain, to: units }, device, dtype)
}

/// Answers of a [`LiveTeacher`].
pub struct LiveTargets {
    answers: Vec<LiveAnswer>,
}

impl LiveTargets {
    /// Sum of the lengths of the forces on atoms in the units of each network, as a mean over networks.
    pub fn sum_of_forces(&self) -> Option<Tensor<1>> {
        mean(self.answers.iter().map(LiveAnswer::sum_of_forces)).ok().flatten()
    }
}

impl Targets for LiveTargets {
    fn energy(&self) -> Result<Tensor<2>> {
        mean(self.answers.iter().map(|a| Some(a.energy())))?.ok_or_else(no_network)
    }

    fn atomic_energies(&self) -> Result<Tensor<2>> {
        let lacks = || Error::setting("distill.teacher", "gives no energies of atoms (`atomic_energies`)");
        mean(self.answers.iter().map(LiveAnswer::atomic_energies)).map_err(|_| lacks())?.ok_or_else(no_network)
    }

    fn forces(&self) -> Result<Tensor<2>> {
        mean(self.answers.iter().map(LiveAnswer::forces))?.ok_or_else(no_network)
    }

    fn virials(&self) -> Result<Tensor<2>> {
        let lacks = || Error::setting("distill.teacher", "gives no virials");
        mean(self.answers.iter().map(LiveAnswer::virials)).map_err(|_| lacks())?.ok_or_else(no_network)
    }

    fn force_derivatives(&self, probes: &Probes) -> Result<Tensor<2>> {
        Ok(central_difference(self.forces()?, probes.step))
    }

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        self.answers.first().ok_or_else(no_network)?.features(kind, tap)
    }
}

fn no_network() -> Error {
    Error::setting("distill.teacher", "names no network")
}

/// Mean over networks; none without networks.
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

/// Output of one teacher, with the shifts and factors to the student's units.
struct LiveAnswer {
    output: Output,
    /// Edges of the features.
    edges: Option<Batch>,
    energy_shift: Vec<f64>,
    atomic_shift: Vec<f64>,
    energy_scale: f64,
    force_scale: f64,
    device: Device,
    dtype: DType,
}

impl LiveAnswer {
    fn new(
        (output, edges): (Output, Option<Batch>),
        systems: &[&System],
        change: &ScaleChange<'_>,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
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
            dtype,
        })
    }

    fn sum_of_forces(&self) -> Option<Tensor<1>> {
        self.output.forces.clone().map(|forces| crate::loss::norm(forces).sum())
    }

    /// Moves a constant to the student's device.
    fn here(&self, values: Tensor<2>) -> Tensor<2> {
        let device = values.device();
        if device.is_autodiff() {
            return values;
        }
        match device == self.device.clone().inner() && values.dtype() == self.dtype {
            true => values.autodiff(),
            false => Tensor::from_data(values.into_data(), (&self.device, self.dtype)),
        }
    }

    fn shifted(&self, values: &Tensor<2>, shift: &[f64]) -> Tensor<2> {
        let shift = float_tensor(shift.to_vec(), [shift.len(), 1], &self.device, self.dtype);
        self.here(values.clone()).mul_scalar(self.energy_scale) + shift
    }

    fn energy(&self) -> Tensor<2> {
        self.shifted(&self.output.energy, &self.energy_shift)
    }

    /// Energies of atoms; none where the teacher gives none.
    fn atomic_energies(&self) -> Option<Tensor<2>> {
        let values = &self.output.atomic_energies;
        (values.dims()[0] == self.atomic_shift.len()).then(|| self.shifted(values, &self.atomic_shift))
    }

    fn virials(&self) -> Option<Tensor<2>> {
        Some(self.here(self.output.virial.clone()?).mul_scalar(self.energy_scale))
    }

    fn forces(&self) -> Option<Tensor<2>> {
        Some(self.here(self.output.forces.clone()?).mul_scalar(self.force_scale))
    }

    fn features(&self, kind: Kind, tap: Tap) -> Result<Tensor<2>> {
        let found = self.output.features.iter().find(|f| f.tap == tap);
        let values = found.zip(self.edges.as_ref()).and_then(|(found, edges)| match kind {
            Kind::Node => Some(found.node.clone()),
            Kind::EdgeSum => Some(found.reduced_edges(edges, Reduction::Sum)),
            Kind::Vector => found.vectors(edges, Reduction::Sum),
            Kind::Edge => found.edges(edges),
        });
        let values =
            values.ok_or_else(|| Error::setting("distill.teacher", format!("has no such features at {tap}")))?;
        Ok(self.here(values))
    }
}
