//! The copies of one batch.

use burn::tensor::Tensor;
use potstill_core::{Result, System};
use potstill_nn::batch::to_host;
use potstill_nn::parameters;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::attack::{Attack, Climb};
use super::jitter;
use super::{Augmentation, Copies};
use crate::distill::targets::{LiveTeacher, Targets};
use crate::distill::terms::{Counts, Set, Student, Terms};
use crate::moves::is_apart;
use crate::prepared::{Member, Shard};
use crate::step::StepContext;
use burn::tensor::Element;
use potstill_nn::Number;
use potstill_simulate::standard_normal;

type Vec3 = [f64; 3];

/// Keeps these random numbers apart from those of weights and order.
const SEED: u64 = 0x636f_7069_6573;
/// Atoms that are closer than this, in Å, are at one place.
const MEET: f64 = 1e-6;

impl StepContext<'_> {
    /// A copy of each system of a batch; none where it had to be thrown away.
    ///
    /// # Errors
    /// Forces that are needed and missing, a teacher that does not know an element.
    pub fn copies<T: Number + Element>(
        &self,
        values: &[T],
        batch: &[usize],
        members: &[Member<'_>],
        counts: &Counts,
    ) -> Result<Vec<Option<Member<'static>>>> {
        let Some((augmentation, terms, teacher)) = self.augmentation() else { return Ok(Vec::new()) };
        let moved: Vec<Vec<Vec3>> = match &augmentation.copies {
            Copies::RandomJitter(settings) => {
                let draw =
                    |(member, &index): (&Member<'_>, &usize)| settings.draw(&member.system, &mut self.rng(index));
                members.iter().zip(batch).map(draw).collect::<Result<_>>()?
            }
            Copies::Adversarial(attack) => {
                // Each attack keeps what a training step keeps.
                let threads = rayon::current_num_threads();
                let size = batch.len().div_ceil(threads * self.passes(members, threads)).max(1);
                let shards: Vec<Shard> = batch
                    .chunks(size)
                    .zip(members.chunks(size))
                    .map(|(indices, members)| Shard::new(indices.to_vec(), members))
                    .collect();
                let run = |shard: &Shard| self.attack(attack, terms, teacher, values, shard, counts);
                let parts: Vec<Vec<Vec<Vec3>>> = shards.par_iter().map(run).collect::<Result<_>>()?;
                parts.into_iter().flatten().collect()
            }
        };
        let copy = |(k, displacement): (usize, Vec<Vec3>)| {
            let system = displaced(&members[k].system, &displacement);
            self.copy(augmentation, batch[k], system)
        };
        moved.into_par_iter().enumerate().map(copy).collect()
    }

    fn copy(&self, augmentation: &Augmentation, index: usize, system: System) -> Result<Option<Member<'static>>> {
        match is_apart(&system, augmentation.min_distance.max(MEET)) {
            true => Ok(Some(self.split.member(index, system)?)),
            false => Ok(None),
        }
    }

    /// Random numbers for the copy of a system in this step.
    fn rng(&self, index: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64((self.seed ^ SEED).wrapping_add(self.step.wrapping_mul(0x9E37_79B9)));
        rng.set_stream(index as u64);
        rng
    }

    /// Displacements that an attack on some systems ends with.
    fn attack<T: Number + Element>(
        &self,
        attack: &Attack,
        terms: &Terms,
        teacher: &LiveTeacher,
        values: &[T],
        shard: &Shard,
        counts: &Counts,
    ) -> Result<Vec<Vec<Vec3>>> {
        let device = self.device.clone().autodiff();
        let student = without_gradients(parameters::with_vector(self.template.clone(), values, &device));
        let start =
            |(&index, system): (&usize, &System)| noise(system.n_atoms(), attack.start_std, &mut self.rng(index));
        let mut displacements: Vec<Vec<Vec3>> = shard.indices.iter().zip(shard.systems()).map(start).collect();
        let n_atoms = shard.systems().iter().map(|s| s.n_atoms()).sum();
        let forces: Vec<Vec3> = match attack.rule {
            super::AttackRule::AcrossForce { .. } => {
                let all = shard.systems().into_iter().map(jitter::forces).collect::<Result<Vec<_>>>()?;
                all.concat()
            }
            _ => Vec::new(),
        };
        let mut climb = Climb::new(n_atoms);
        for _ in 0..attack.steps {
            // Where atoms meet there is no gradient: such a copy stays as it is, to be thrown away, and the system itself stands
            // in for it, so that the others go on.
            let copies: Vec<(System, bool)> = shard
                .systems()
                .into_iter()
                .zip(&displacements)
                .map(|(system, d)| {
                    let copy = displaced(system, d);
                    let goes_on = is_apart(&copy, MEET);
                    (if goes_on { copy } else { system.clone() }, goes_on)
                })
                .collect();
            let goes_on: Vec<bool> = copies.iter().map(|(_, goes_on)| *goes_on).collect();
            let members: Vec<Member> = shard
                .indices
                .iter()
                .zip(copies)
                .map(|(&index, (copy, _))| self.split.member(index, copy))
                .collect::<Result<_>>()?;
            let moved = Shard::new(shard.indices.clone(), &members);
            let gradient = self.climbed_gradient::<T>(attack, terms, teacher, &student, &moved, counts)?;
            let steps = climb.step(attack, &gradient, &forces);
            let mut steps = steps.into_iter();
            for ((system, displacement), goes_on) in shard.systems().into_iter().zip(&mut displacements).zip(goes_on) {
                for (atom, d) in displacement.iter_mut().enumerate() {
                    let step = steps.next().unwrap_or_default();
                    if goes_on && system.is_free(atom) {
                        *d = std::array::from_fn(|c| d[c] + step[c]);
                    }
                }
            }
        }
        Ok(displacements)
    }

    /// Gradient with respect to positions of what an attack climbs; 0 for fixed atoms. Shape: `[n_atoms, 3]`.
    fn climbed_gradient<T: Number + Element>(
        &self,
        attack: &Attack,
        terms: &Terms,
        teacher: &LiveTeacher,
        student: &Student,
        moved: &Shard,
        counts: &Counts,
    ) -> Result<Vec<Vec3>> {
        let device = self.device.clone().autodiff();
        let batch = self.batch::<T>(moved, &device)?.tracking_displacement();
        let taps = terms.student_taps(Set::Copies);
        let output = student.network.forward(&batch, self.forces, &taps);
        let systems = moved.systems();
        let taps = terms.teacher_taps(Set::Copies);
        let tracked = match attack.needs_teacher_gradient() {
            true => Some(teacher.tracked_answer(&systems, &taps, terms.units(), &device)?),
            false => None,
        };
        let constant = match attack.teacher_gradient {
            true => None,
            false => Some(teacher.answer(&systems, &taps, terms.units(), &device)?),
        };
        let targets: &dyn Targets = match (&constant, &tracked) {
            (Some(constant), _) => constant,
            (None, Some((tracked, _))) => tracked,
            (None, None) => return Ok(vec![[0.0; 3]; batch.n_atoms]),
        };
        let training = self.training;
        let losses = (training.energy_loss, training.force_loss);
        let climbed: Vec<Tensor<1>> = if attack.climbs_ordinary_loss() {
            let weights = (training.energy_weight, training.force_weight);
            vec![terms.ordinary(&output, targets, &batch, moved, counts, losses, weights)?]
        } else {
            terms.evaluate(Set::Copies, student, &batch, &output, moved, targets, counts, losses, &self.term_weights)?
        };
        let mut total = climbed.into_iter().fold(batch.zeros([1]), |a, b| a + b);
        if let Some(sum) = tracked.as_ref().and_then(|(targets, _)| targets.sum_of_forces()) {
            total = total - sum.mul_scalar(attack.force_regularization / counts.atoms);
        }
        let mut gradient = vec![[0.0; 3]; batch.n_atoms];
        if total.is_tracked() {
            let gradients = total.backward();
            let theirs = tracked.iter().flat_map(|(_, batches)| batches);
            for batch in std::iter::once(&batch).chain(theirs) {
                let Some(edges) = batch.displacement.grad(&gradients) else { continue };
                let own = batch.position_gradient(&to_host(&edges));
                gradient.iter_mut().zip(own).for_each(|(a, b)| *a = std::array::from_fn(|c| a[c] + b[c]));
            }
        }
        let is_free = moved.members.iter().flat_map(|m| m.prepared.free.iter());
        gradient.iter_mut().zip(is_free).filter(|(_, free)| !**free).for_each(|(g, _)| *g = [0.0; 3]);
        Ok(gradient)
    }
}

/// A student whose weights record nothing: an attack differentiates positions alone.
fn without_gradients(student: Student) -> Student {
    use burn::module::Module;
    student.no_grad()
}

fn noise(n_atoms: usize, std: f64, rng: &mut impl Rng) -> Vec<Vec3> {
    (0..n_atoms).map(|_| std::array::from_fn(|_| std * standard_normal(rng))).collect()
}

/// The system with its free atoms moved; labels and what else it knew stay behind.
fn displaced(system: &System, displacement: &[Vec3]) -> System {
    let mut copy = System { energy: None, forces: None, stress: None, ..system.clone() };
    for (atom, (position, d)) in copy.positions.iter_mut().zip(displacement).enumerate() {
        if system.is_free(atom) {
            *position = std::array::from_fn(|c| position[c] + d[c]);
        }
    }
    copy
}
