//! Forward and backward pass of one shard.

use burn::tensor::{Device, Tensor};
use potstill_core::Result;
use potstill_core::model::Tap;
use potstill_nn::tensors::{float_tensor, to_host};
use potstill_nn::{Batch, Output, parameters};

use super::{Losses, Part, StepContext, Work};
use crate::distill::terms::{Asked, Terms};
use crate::distill::{Counts, LossId, Pass, Probes, Set, Student};
use crate::prepared::{Member, Rows, Shard};
use burn::tensor::Element;
use potstill_nn::Number;

/// Losses with their names, to be differentiated.
type NamedLosses = Vec<(LossId, Tensor<1>)>;

/// Student on the device of one thread, and the shard that it works on.
struct Worker<'a> {
    student: &'a Student,
    device: &'a Device,
    /// Systems of the shard.
    systems: &'a Shard<'a>,
    /// Copies of them; may be empty.
    copies: &'a Shard<'a>,
}

impl StepContext<'_> {
    /// Losses of the systems at some places of a batch, and the gradient of a part of them.
    pub(super) fn shard<T: Number + Element>(
        &self,
        part: Part,
        values: &[T],
        work: &Work<'_>,
        places: &[usize],
    ) -> Result<(Losses, Vec<T>)> {
        let device = self.device.clone().autodiff();
        let student = parameters::with_vector(self.template.clone(), values, &device);
        let (systems, copies) = (work.systems(places), work.copies(places));
        let worker = Worker { student: &student, device: &device, systems: &systems, copies: &copies };
        let batch = self.batch::<T>(&systems, &device)?;
        let taps = self.terms.map(|terms| terms.student_taps(Set::Systems)).unwrap_or_default();
        let output = student.network.forward(&batch, self.forces, &taps);
        let mut losses = self.label_losses(&output, &batch, &systems, &work.system_counts);
        if let Some(terms) = self.terms {
            terms.check_edges(systems.prepared().zip(&systems.indices).map(|(system, &i)| (i, system)))?;
            losses.extend(self.on_systems::<T>(terms, &worker, (&batch, &output), &work.system_counts)?);
            losses.extend(self.on_copies::<T>(terms, &worker, &batch, &work.copy_counts)?);
            losses.extend(self.between_probes::<T>(terms, &worker, &batch, &work.system_counts)?);
        }
        // Read together: a graphics processor is waited for once.
        let values_of = to_host(&Tensor::cat(losses.iter().map(|(_, loss)| loss.clone()).collect(), 0));
        let numbers = losses.iter().map(|(id, _)| *id).zip(values_of).collect();
        let wanted = losses.into_iter().filter(|(id, _)| part.holds(*id)).map(|(_, loss)| loss);
        let mut gradient = Vec::with_capacity(values.len());
        match wanted.reduce(|a, b| a + b).filter(Tensor::is_tracked) {
            Some(total) => {
                let mut gradients = total.backward();
                parameters::gradients_to_vector(&student, &mut gradients, &mut gradient);
            }
            None => gradient.resize(values.len(), T::default()),
        }
        Ok((Losses::new(numbers), gradient))
    }

    /// Energy, force and stress losses of a shard against its labels.
    pub fn label_losses(&self, output: &Output, batch: &Batch, shard: &Shard, counts: &Counts) -> NamedLosses {
        let zero = || batch.zeros([1]);
        let energy = match shard.energies() {
            Some(energies) if self.training.energy_weight > 0.0 => {
                let target = float_tensor(energies, [shard.members.len(), 1], &batch.device, batch.dtype);
                let scale = self.training.energy_weight / counts.systems;
                let scale = shard.label_scale(Rows::Systems, scale, batch);
                self.training.energy_loss.evaluate(output.energy.clone(), target, scale)
            }
            _ => zero(),
        };
        let forces = match (shard.forces(), &output.forces) {
            (Some(labels), Some(forces)) if self.training.force_weight > 0.0 => {
                let values = labels.iter().flat_map(|forces| forces.as_flattened()).copied().collect();
                let target = float_tensor(values, [batch.n_atoms, 3], &batch.device, batch.dtype);
                let scale = self.training.force_weight / counts.free.max(1.0);
                let scale = shard.label_scale(Rows::Atoms, scale, batch);
                self.training.force_loss.evaluate(forces.clone(), target, shard.free_mask(batch), scale)
            }
            _ => zero(),
        };
        let mut losses = vec![(LossId::Energy, energy), (LossId::Forces, forces)];
        if self.training.stress_weight > 0.0 {
            let stress = self.stress_loss(output, batch, shard, counts).unwrap_or_else(zero);
            losses.push((LossId::Stress, stress));
        }
        losses
    }

    /// Stress loss of a shard: of virials per atom. None without labels or virials.
    fn stress_loss(&self, output: &Output, batch: &Batch, shard: &Shard, counts: &Counts) -> Option<Tensor<1>> {
        let (virials, factors) = shard.virials()?;
        let constant = |values: Vec<f64>, width: usize| {
            let shape = [shard.members.len(), width];
            float_tensor(values, shape, &batch.device, batch.dtype)
        };
        let (target, factor) = (constant(virials, 9), constant(factors, 1));
        let scale = self.training.stress_weight / counts.virials.max(1.0);
        let scale = shard.label_scale(Rows::Systems, scale, batch);
        Some(self.training.stress_loss.evaluate(output.virial.clone()? * factor, target, scale))
    }

    /// Terms on the systems of the batch.
    fn on_systems<T: Number + Element>(
        &self,
        terms: &Terms,
        worker: &Worker<'_>,
        (batch, output): (&Batch, &Output),
        counts: &Counts,
    ) -> Result<NamedLosses> {
        if !terms.has(Set::Systems) {
            return Ok(Vec::new());
        }
        let shard = worker.systems;
        let targets = terms.targets(Set::Systems, self.asked::<T>(shard, worker.device))?;
        let pass = Pass {
            student: worker.student,
            shard,
            batch,
            output,
            targets: &*targets,
            counts,
            losses: self.training.losses(),
        };
        terms.evaluate(Set::Systems, &pass, &self.term_weights)
    }

    /// Terms on the copies of the systems; `systems` is the batch of the systems.
    fn on_copies<T: Number + Element>(
        &self,
        terms: &Terms,
        worker: &Worker<'_>,
        systems: &Batch,
        counts: &Counts,
    ) -> Result<NamedLosses> {
        let shard = worker.copies;
        if shard.members.is_empty() {
            return Ok(terms.zeros(Set::Copies, systems));
        }
        let batch = self.batch::<T>(shard, worker.device)?;
        let taps: Vec<Tap> = terms.student_taps(Set::Copies);
        let output = worker.student.network.forward(&batch, self.forces, &taps);
        let targets = terms.targets(Set::Copies, self.asked::<T>(shard, worker.device))?;
        let pass = Pass {
            student: worker.student,
            shard,
            batch: &batch,
            output: &output,
            targets: &*targets,
            counts,
            losses: self.training.losses(),
        };
        terms.evaluate(Set::Copies, &pass, &self.term_weights)
    }

    /// Terms that compare derivatives of the forces; `batch` is that of the systems.
    fn between_probes<T: Number + Element>(
        &self,
        terms: &Terms,
        worker: &Worker<'_>,
        batch: &Batch,
        counts: &Counts,
    ) -> Result<NamedLosses> {
        let Some(probes) = terms.probes() else { return Ok(Vec::new()) };
        let shard = worker.systems;
        let displaced = self.pairs(&probes, shard)?;
        let pairs = Shard::new([&shard.indices[..], &shard.indices].concat(), &displaced);
        let output = worker.student.network.forward(&self.batch::<T>(&pairs, worker.device)?, self.forces, &[]);
        let targets = terms.targets(Set::Probes, self.asked::<T>(&pairs, worker.device))?;
        let pass = Pass {
            student: worker.student,
            shard,
            batch,
            output: &output,
            targets: &*targets,
            counts,
            losses: self.training.losses(),
        };
        terms.evaluate(Set::Probes, &pass, &self.term_weights)
    }

    fn asked<'s, T: Number + Element>(&self, shard: &'s Shard<'s>, device: &'s Device) -> Asked<'s> {
        Asked { shard, step: self.step, device, dtype: T::dtype() }
    }

    /// Systems of a shard displaced along their probes of this step to one side, then to the other.
    fn pairs(&self, probes: &Probes, shard: &Shard) -> Result<Vec<Member<'static>>> {
        let displaced = |sign: f64| {
            shard.indices.iter().zip(shard.systems()).map(move |(&index, system)| {
                let copy = probes.displaced(system, index, probes.choose(self.step, index), sign);
                self.split.member(index, copy)
            })
        };
        displaced(1.0).chain(displaced(-1.0)).collect()
    }
}
