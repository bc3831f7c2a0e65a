//! One optimisation step's loss and gradient, shared among threads.
//!
//! A batch is cut into one shard per thread by cost; each thread runs forward and backward alone, with a network of
//! its own that holds the same weights, and gradients are added in the order of the shards. The result is therefore
//! the same for the same number of threads, and differs by rounding between numbers. A batch whose intermediate results
//! would not fit into the memory that the settings allow is cut into more shards, which run one after the other.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use potstill_core::graph::Graph;
use potstill_core::model::{Forces, Tap};
use potstill_core::{Error, Result};
use potstill_data::dataset::shards;
use potstill_nn::batch::{float_tensor, to_host};
use potstill_nn::{Batch, Output, parameters};
use rayon::prelude::*;

use crate::augment::Augmentation;
use crate::config::TrainingConfig;
use crate::distill::Probes;
use crate::distill::targets::LiveTeacher;
use crate::distill::terms::{Counts, Set, Student, Terms, central_difference};
use crate::prepared::{Member, PreparedSystem, Rows, Shard, Split, SystemWeights};
use burn::tensor::Element;
use potstill_nn::Number;

/// What every step needs and none changes.
pub struct StepContext<'a> {
    /// A student with any weights.
    pub template: &'a Student,
    /// Where its forces come from.
    pub forces: Forces,
    /// The systems that indices speak of.
    pub split: &'a Split,
    /// Seed of copies.
    pub seed: u64,
    /// Steps done before this one.
    pub step: u64,
    /// Parameters whose gradients are divided, and by what.
    pub divisors: &'a [(Range<usize>, f64)],
    /// Distillation terms, if any.
    pub terms: Option<&'a Terms>,
    /// Weight of each of them now.
    pub term_weights: Vec<f64>,
    /// Losses and weights.
    pub training: &'a TrainingConfig,
    /// Bytes that a step keeps for each edge.
    pub bytes_per_edge: usize,
    /// Device without differentiation.
    pub device: &'a Device,
}

/// What a gradient is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// The energy loss alone.
    Energy,
    /// The force loss alone.
    Forces,
    /// One distillation term alone.
    Term(usize),
}

impl Part {
    /// Whether the loss at that place of a shard's losses belongs to it.
    fn holds(self, place: usize) -> bool {
        match self {
            Self::All => true,
            Self::Energy => place == 0,
            Self::Forces => place == 1,
            Self::Term(term) => place == 2 + term,
        }
    }
}

/// Weighted losses of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    /// Energy loss.
    pub energy: f64,
    /// Force loss.
    pub forces: f64,
    /// Distillation terms.
    pub terms: Vec<f64>,
    /// Copies that were thrown away.
    pub n_rejected: usize,
}

impl Losses {
    /// Sum of all.
    pub fn total(&self) -> f64 {
        self.energy + self.forces + self.terms.iter().sum::<f64>()
    }

    /// Sum without the distillation terms.
    pub fn main(&self) -> f64 {
        self.energy + self.forces
    }

    fn add(&mut self, other: &Self) {
        self.energy += other.energy;
        self.forces += other.forces;
        self.terms.resize(other.terms.len(), 0.0);
        self.terms.iter_mut().zip(&other.terms).for_each(|(a, b)| *a += b);
        self.n_rejected += other.n_rejected;
    }
}

impl StepContext<'_> {
    /// Loss and gradient of a batch at `values`.
    ///
    /// # Errors
    /// A teacher cache that lacks a tensor.
    pub fn gradient<T: Number + Element>(&self, values: &[T], batch: &[usize]) -> Result<(Losses, Vec<T>)> {
        self.gradient_of(Part::All, values, batch)
    }

    /// Loss of the whole batch, and the gradient of a part of it.
    ///
    /// # Errors
    /// A teacher cache that lacks a tensor.
    pub fn gradient_of<T: Number + Element>(
        &self,
        part: Part,
        values: &[T],
        batch: &[usize],
    ) -> Result<(Losses, Vec<T>)> {
        let members = self.split.members(batch)?;
        let mut batch_counts = BatchCounts { systems: counts(members.iter()), copies: Counts::default() };
        let copies = self.copies(values, batch, &members, &batch_counts.systems)?;
        batch_counts.copies = counts(copies.iter().flatten());
        let system_weights = self.split.weights(batch);
        let weights: Vec<usize> = members.iter().map(|m| m.prepared.cost()).collect();
        let places: Vec<usize> = (0..batch.len()).collect();
        let threads = rayon::current_num_threads();
        let parts = shards(&places, &weights, threads * self.passes(&members, threads));
        let mut sum: Option<(Losses, Vec<T>)> = None;
        // As many parts at a time as there are threads: more would need the memory that the parts are there to save.
        for parts in parts.chunks(threads) {
            let shard = |places: &Vec<usize>| {
                let mut shard =
                    Shard::new(places.iter().map(|&p| batch[p]).collect(), places.iter().map(|&p| &members[p]));
                shard.weights = system_weights.as_ref().map(|weights| SystemWeights {
                    labels: places.iter().map(|&p| weights.labels[p]).collect(),
                    terms: places.iter().map(|&p| weights.terms[p]).collect(),
                });
                let copied = || places.iter().filter_map(|&p| Some((batch[p], copies.get(p)?.as_ref()?)));
                let copies = Shard::new(copied().map(|(i, _)| i).collect(), copied().map(|(_, copy)| copy));
                self.shard(part, values, &shard, &copies, &batch_counts)
            };
            let results: Vec<(Losses, Vec<T>)> = parts.par_iter().map(shard).collect::<Result<_>>()?;
            for (part_losses, part) in results {
                match &mut sum {
                    None => sum = Some((part_losses, part)),
                    Some((losses, gradient)) => {
                        losses.add(&part_losses);
                        gradient.iter_mut().zip(part).for_each(|(a, b)| *a += b);
                    }
                }
            }
        }
        let (mut losses, mut gradient) = sum.ok_or_else(|| Error::Other("an empty batch".to_owned()))?;
        losses.n_rejected = copies.iter().filter(|copy| copy.is_none()).count();
        for (range, divisor) in self.divisors {
            gradient[range.clone()].iter_mut().for_each(|g| *g = T::of(g.to_f64() / divisor));
        }
        Ok((losses, gradient))
    }

    /// How often each thread runs the network, so that what all keep at a time stays within what the settings allow.
    pub fn passes(&self, batch: &[Member<'_>], threads: usize) -> usize {
        let edges: usize = batch.iter().map(|m| m.prepared.n_edges).sum();
        let has_probes = self.terms.is_some_and(|terms| terms.probes().is_some());
        // An attack records gradients of positions: whatever is fused elsewhere is then an array for each edge.
        let passes = 1 + 4 * usize::from(self.augmentation().is_some()) + 2 * usize::from(has_probes);
        let bytes = (edges * passes) as f64 * self.bytes_per_edge as f64;
        let parts = (bytes / (self.training.activation_gib * 1024.0_f64.powi(3))).ceil() as usize;
        parts.clamp(1, batch.len().div_ceil(threads).max(1))
    }

    /// Terms on copies with what they need, where there are any.
    pub fn augmentation(&self) -> Option<(&Augmentation, &Terms, &LiveTeacher)> {
        let terms = self.terms?;
        let (augmentation, teacher) = terms.augmentation()?;
        Some((augmentation, terms, teacher))
    }

    fn shard<T: Number + Element>(
        &self,
        part: Part,
        values: &[T],
        shard: &Shard,
        copies: &Shard,
        counts: &BatchCounts,
    ) -> Result<(Losses, Vec<T>)> {
        let device = self.device.clone().autodiff();
        let student = parameters::with_vector(self.template.clone(), values, &device);
        let batch = self.batch::<T>(shard, &device)?;
        let taps = self.terms.map(|terms| terms.student_taps(Set::Systems)).unwrap_or_default();
        let (output, mut parts) = self.main_losses(&student, &batch, shard, &counts.systems, &taps);
        if let Some(terms) = self.terms {
            terms.check_edges(shard.prepared().zip(&shard.indices).map(|(system, &i)| (i, system)))?;
            let losses = (self.training.energy_loss, self.training.force_loss);
            let weights = &self.term_weights;
            let compare = |set, batch: &Batch, output: &Output, shard: &Shard, counts: &Counts| {
                let targets = terms.targets(set, shard, &device, T::dtype())?;
                terms.evaluate(set, &student, batch, output, shard, targets.as_ref(), counts, losses, weights)
            };
            if terms.n_terms(Set::Systems) > 0 {
                parts.extend(compare(Set::Systems, &batch, &output, shard, &counts.systems)?);
            }
            if copies.members.is_empty() {
                parts.extend((0..terms.n_terms(Set::Copies)).map(|_| batch.zeros([1])));
            } else {
                let batch = self.batch::<T>(copies, &device)?;
                let output = student.network.forward(&batch, self.forces, &terms.student_taps(Set::Copies));
                parts.extend(compare(Set::Copies, &batch, &output, copies, &counts.copies)?);
            }
            if let Some(probes) = terms.probes() {
                let pairs = self.pairs(&probes, shard)?;
                let pairs = Shard::new([&shard.indices[..], &shard.indices].concat(), &pairs);
                let output = student.network.forward(&self.batch::<T>(&pairs, &device)?, self.forces, &[]);
                let no_forces = || Error::setting("distill.terms (hessian)", "needs a student with forces");
                let ours = central_difference(output.forces.ok_or_else(no_forces)?, probes.step);
                let theirs = terms.force_derivatives(&probes, self.step, shard, &pairs, &device, T::dtype())?;
                parts.extend(terms.evaluate_probes(ours, theirs, &batch, shard, &counts.systems, weights));
            }
        }
        let numbers: Vec<f64> = parts.iter().map(|part| to_host(part)[0]).collect();
        let losses = Losses { energy: numbers[0], forces: numbers[1], terms: numbers[2..].to_vec(), n_rejected: 0 };
        let mut gradient = Vec::with_capacity(values.len());
        let wanted = parts.into_iter().enumerate().filter(|(place, _)| part.holds(*place)).map(|(_, loss)| loss);
        let total = wanted.reduce(|a, b| a + b).filter(Tensor::is_tracked);
        match total {
            Some(total) => {
                let mut gradients = total.backward();
                parameters::gradients_to_vector(&student, &mut gradients, &mut gradient);
            }
            None => gradient.resize(values.len(), T::default()),
        }
        Ok((losses, gradient))
    }

    /// The systems of a shard displaced along their probes of this step to the one side, then to the other.
    fn pairs(&self, probes: &Probes, shard: &Shard) -> Result<Vec<Member<'static>>> {
        let displaced = |sign: f64| {
            shard.indices.iter().zip(shard.systems()).map(move |(&index, system)| {
                let copy = probes.displaced(system, index, probes.choose(self.step, index), sign);
                self.split.member(index, copy)
            })
        };
        displaced(1.0).chain(displaced(-1.0)).collect()
    }

    /// Energy and force losses of a shard, and the forward pass that they come from.
    pub fn main_losses(
        &self,
        student: &Student,
        batch: &Batch,
        shard: &Shard,
        counts: &Counts,
        taps: &[Tap],
    ) -> (Output, Vec<Tensor<1>>) {
        let output = student.network.forward(batch, self.forces, taps);
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
        (output, vec![energy, forces])
    }

    /// The graphs of some systems as one batch.
    ///
    /// # Errors
    /// A graph that cannot be drawn; systems that were prepared give none.
    pub fn batch<T: Number + Element>(&self, shard: &Shard, device: &Device) -> Result<Batch> {
        let kept: Option<Vec<&Graph>> = shard.prepared().map(|s| s.graph.as_ref()).collect();
        if let Some(graphs) = kept {
            return Ok(Batch::new(&Graph::concatenate(&graphs), device, T::dtype()));
        }
        Ok(Batch::of(&self.split.rule().build(&shard.systems())?, device, T::dtype()))
    }
}

/// Counts of the systems of a batch, and of their copies.
struct BatchCounts {
    systems: Counts,
    copies: Counts,
}

/// Counts of a batch, by which losses are divided.
pub fn counts<'a>(batch: impl Iterator<Item = &'a Member<'a>> + Clone) -> Counts {
    let sum = |count: fn(&PreparedSystem) -> usize| batch.clone().map(|m| count(&m.prepared)).sum::<usize>() as f64;
    Counts {
        systems: sum(|_| 1),
        atoms: sum(|s| s.n_atoms),
        free: sum(PreparedSystem::n_free),
        edges: sum(|s| s.n_edges),
    }
}
