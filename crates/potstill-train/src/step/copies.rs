//! Disturbed copies of the systems of a batch.

use std::ops::Range;

use potstill_core::{Result, System};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::StepContext;
use super::attack::Assault;
use super::division::Division;
use crate::augment::Copies;
use crate::distill::{Augmentation, Counts};
use crate::moves::{MEET, displaced, is_apart};
use crate::prepared::{Member, Shard};
use burn::tensor::Element;
use potstill_nn::Number;

type Vec3 = [f64; 3];

/// Keeps these random numbers apart from those of weights and order.
const SEED: u64 = 0x636f_7069_6573;

impl StepContext<'_> {
    /// A copy of each system that this process works on; none where it had to be thrown away.
    ///
    /// # Errors
    /// Forces that are needed and missing, a teacher that does not know an element.
    pub fn copies<T: Number + Element>(
        &self,
        values: &[T],
        (batch, members): (&[usize], &[Member<'_>]),
        division: Option<&Division>,
        counts: &Counts,
    ) -> Result<Vec<Option<Member<'static>>>> {
        let Some(terms) = self.terms else { return Ok(Vec::new()) };
        let Some((augmentation, teacher)) = terms.augmentation() else { return Ok(Vec::new()) };
        let moved: Vec<Vec<Vec3>> = match &augmentation.copies {
            Copies::RandomJitter(settings) => {
                let draw =
                    |(member, &index): (&Member<'_>, &usize)| settings.draw(&member.system, &mut self.rng(index));
                members.iter().zip(batch).map(draw).collect::<Result<_>>()?
            }
            Copies::Adversarial(attack) => {
                // Each attack holds what a training step holds.
                let threads = rayon::current_num_threads();
                let size = batch.len().div_ceil(threads * self.passes(members, threads)).max(1);
                let of_size = |start: usize| start..(start + size).min(batch.len());
                let ranges: Vec<Range<usize>> = match division {
                    Some(division) => division.ranges().collect(),
                    None => (0..batch.len()).step_by(size).map(of_size).collect(),
                };
                let assault = Assault { context: self, attack, terms, teacher, counts };
                let parts: Vec<Vec<Vec<Vec3>>> = ranges
                    .into_par_iter()
                    .map(|range| assault.run(values, &Shard::new(batch[range.clone()].to_vec(), &members[range])))
                    .collect::<Result<_>>()?;
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
    pub(super) fn rng(&self, index: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64((self.seed ^ SEED).wrapping_add(self.step.wrapping_mul(0x9E37_79B9)));
        rng.set_stream(index as u64);
        rng
    }
}
