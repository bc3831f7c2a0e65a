//! Copies that make student and teacher disagree, found by steps up the gradient of what is compared.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use potstill_core::{Result, System};
use potstill_nn::tensors::to_host;
use potstill_nn::{Batch, parameters};
use potstill_simulate::standard_normal;
use rand::Rng;

use super::StepContext;
use crate::augment::attack::Climb;
use crate::augment::{Attack, AttackRule, jitter};
use crate::distill::targets::{LiveTargets, LiveTeacher, Targets};
use crate::distill::terms::Terms;
use crate::distill::{Counts, Pass, Set, Student};
use crate::moves::{MEET, displaced, is_apart};
use crate::prepared::{Member, Shard};
use burn::tensor::Element;
use potstill_nn::Number;

type Vec3 = [f64; 3];

/// Everything that the attacks of one step share.
pub(super) struct Assault<'a> {
    pub context: &'a StepContext<'a>,
    pub attack: &'a Attack,
    pub terms: &'a Terms,
    pub teacher: &'a LiveTeacher,
    pub counts: &'a Counts,
}

/// Answers of the teacher about moved systems, as far as an attack needs them.
struct Answers {
    constant: Option<LiveTargets>,
    /// Answers that can be differentiated, with the batches whose displacements they depend on.
    tracked: Option<(LiveTargets, Vec<Batch>)>,
}

impl Assault<'_> {
    /// Displacements that an attack on the systems of a shard ends with. Shape of each: `[n_atoms, 3]`.
    pub fn run<T: Number + Element>(&self, values: &[T], shard: &Shard) -> Result<Vec<Vec<Vec3>>> {
        let device = self.context.device.clone().autodiff();
        // An attack differentiates positions alone.
        let student = parameters::with_vector(self.context.template.clone(), values, &device).no_grad();
        let start = |(&index, system): (&usize, &System)| {
            noise(system.n_atoms(), self.attack.start_std, &mut self.context.rng(index))
        };
        let mut displacements: Vec<Vec<Vec3>> = shard.indices.iter().zip(shard.systems()).map(start).collect();
        let forces: Vec<Vec3> = match self.attack.rule {
            AttackRule::AcrossForce { .. } => {
                shard.systems().into_iter().map(jitter::forces).collect::<Result<Vec<_>>>()?.concat()
            }
            _ => Vec::new(),
        };
        let mut climb = Climb::new(shard.systems().iter().map(|s| s.n_atoms()).sum());
        for _ in 0..self.attack.steps {
            let (members, goes_on) = self.moved(shard, &displacements)?;
            let gradient = self.gradient::<T>(&student, &Shard::new(shard.indices.clone(), &members), &device)?;
            let mut steps = climb.step(self.attack, &gradient, &forces).into_iter();
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

    /// Systems at their displaced positions, and whether each goes on.
    ///
    /// Where atoms meet there is no gradient: such a copy stays as it is, to be thrown away, and the system itself stands in for
    /// it, so that the others go on.
    fn moved(&self, shard: &Shard, displacements: &[Vec<Vec3>]) -> Result<(Vec<Member<'static>>, Vec<bool>)> {
        let (mut members, mut goes_on) = (Vec::new(), Vec::new());
        for ((&index, system), displacement) in shard.indices.iter().zip(shard.systems()).zip(displacements) {
            let copy = displaced(system, displacement);
            let apart = is_apart(&copy, MEET);
            members.push(self.context.split.member(index, if apart { copy } else { system.clone() })?);
            goes_on.push(apart);
        }
        Ok((members, goes_on))
    }

    /// Gradient with respect to positions of the loss that an attack climbs; 0 for fixed atoms. Shape: `[n_atoms, 3]`.
    fn gradient<T: Number + Element>(&self, student: &Student, moved: &Shard, device: &Device) -> Result<Vec<Vec3>> {
        let context = self.context;
        let batch = context.batch::<T>(moved, device)?.tracking_displacement();
        let output = student.network.forward(&batch, context.forces, &self.terms.student_taps(Set::Copies));
        let answers = self.answers(moved, device)?;
        let Some(targets) = answers.targets() else { return Ok(vec![[0.0; 3]; batch.n_atoms]) };
        let pass = Pass {
            student,
            shard: moved,
            batch: &batch,
            output: &output,
            targets,
            counts: self.counts,
            losses: context.training.losses(),
        };
        let mut total = self.climbed(&pass)?.into_iter().fold(batch.zeros([1]), |a, b| a + b);
        if let Some(sum) = answers.tracked.as_ref().and_then(|(targets, _)| targets.sum_of_forces()) {
            total = total - sum.mul_scalar(self.attack.force_regularization / self.counts.atoms);
        }
        let mut gradient = vec![[0.0; 3]; batch.n_atoms];
        if total.is_tracked() {
            let gradients = total.backward();
            let theirs = answers.tracked.iter().flat_map(|(_, batches)| batches);
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

    fn answers(&self, moved: &Shard, device: &Device) -> Result<Answers> {
        let (systems, taps, units) = (moved.systems(), self.terms.teacher_taps(Set::Copies), self.terms.units());
        let tracked = match self.attack.needs_teacher_gradient() {
            true => Some(self.teacher.tracked_answer(&systems, &taps, units, device)?),
            false => None,
        };
        let constant = match self.attack.teacher_gradient {
            true => None,
            false => Some(self.teacher.answer(&systems, &taps, units, device)?),
        };
        Ok(Answers { constant, tracked })
    }

    /// Losses that the attack climbs: the ordinary one, or the terms on copies.
    fn climbed(&self, pass: &Pass<'_>) -> Result<Vec<Tensor<1>>> {
        let training = self.context.training;
        if self.attack.climbs_ordinary_loss() {
            return Ok(vec![pass.ordinary((training.energy_weight, training.force_weight))?]);
        }
        let losses = self.terms.evaluate(Set::Copies, pass, &self.context.term_weights)?;
        Ok(losses.into_iter().map(|(_, loss)| loss).collect())
    }
}

impl Answers {
    fn targets(&self) -> Option<&dyn Targets> {
        match (&self.constant, &self.tracked) {
            (Some(constant), _) => Some(constant),
            (None, Some((tracked, _))) => Some(tracked),
            (None, None) => None,
        }
    }
}

fn noise(n_atoms: usize, std: f64, rng: &mut impl Rng) -> Vec<Vec3> {
    (0..n_atoms).map(|_| std::array::from_fn(|_| std * standard_normal(rng))).collect()
}
