//! Sum over the shards of a batch as a binary tree that does not depend on which process and thread works on a shard.
//!
//! Each process has consecutive shards. A node of the tree is added up by the process that has its first shard; other processes send
//! it what they have. Rank 0 therefore ends with the sum, which it gives to all.

use std::ops::Range;

use potstill_core::Result;
use potstill_core::ranks::Ranks;
use potstill_nn::Number;

use super::Losses;
use crate::distill::LossId;

/// Losses and gradient of some shards.
pub type Sum<T> = (Losses, Vec<T>);

/// Shards of a batch and who works on them.
pub struct Tree<'a, T> {
    /// Processes of the run.
    pub ranks: &'a dyn Ranks,
    /// Number of shards.
    pub n_shards: usize,
    /// Whether shards of this process run side by side.
    pub parallel: bool,
    /// Losses that a shard may have, in the order of messages.
    pub losses: &'a [LossId],
    /// Number of weights.
    pub n_values: usize,
    /// Losses and gradient of a shard.
    pub shard: &'a (dyn Fn(usize) -> Result<Sum<T>> + Sync),
}

impl<T: Number> Tree<'_, T> {
    /// Sum over all shards, the same at every process.
    ///
    /// # Errors
    /// What a shard of this process says; the other processes then wait in vain, and the run is to be ended.
    pub fn total(&self) -> Result<Sum<T>> {
        let own = self.node(0..self.n_shards)?;
        if self.ranks.is_alone() {
            return Ok(own.unwrap_or_else(|| self.nothing()));
        }
        let (losses, mut gradient) = own.unwrap_or_else(|| self.nothing());
        let mut values = self.values_of(&losses);
        self.ranks.broadcast(bytemuck::cast_slice_mut(&mut values));
        self.ranks.broadcast(bytemuck::cast_slice_mut(&mut gradient));
        Ok((self.named(&losses, &values), gradient))
    }

    /// Sum over some shards at the process that has the first of them; none elsewhere.
    fn node(&self, shards: Range<usize>) -> Result<Option<Sum<T>>> {
        let owner = |shard: usize| self.ranks.owner(shard, self.n_shards);
        let (to, last) = (owner(shards.start), owner(shards.end - 1));
        let me = self.ranks.rank();
        if to == last {
            return if to == me { self.local(shards).map(Some) } else { Ok(None) };
        }
        let middle = middle(&shards);
        let from = owner(middle);
        let (left, right) = (self.node(shards.start..middle)?, self.node(middle..shards.end)?);
        let right = match right {
            Some((losses, gradient)) if to != me => {
                self.ranks.send(to, bytemuck::cast_slice(&self.values_of(&losses)));
                self.ranks.send(to, bytemuck::cast_slice(&gradient));
                None
            }
            None if to == me => {
                let (losses, mut gradient) = self.nothing();
                let mut values = self.values_of(&losses);
                self.ranks.receive(from, bytemuck::cast_slice_mut(&mut values));
                self.ranks.receive(from, bytemuck::cast_slice_mut(&mut gradient));
                Some((self.named(&losses, &values), gradient))
            }
            right => right,
        };
        Ok(left.zip(right).map(|(left, right)| added(left, right)))
    }

    /// Sum over some shards of this process.
    fn local(&self, shards: Range<usize>) -> Result<Sum<T>> {
        if shards.len() == 1 {
            return (self.shard)(shards.start);
        }
        let middle = middle(&shards);
        let halves = (shards.start..middle, middle..shards.end);
        let (left, right) = match self.parallel {
            true => rayon::join(|| self.local(halves.0), || self.local(halves.1)),
            false => (self.local(halves.0), self.local(halves.1)),
        };
        Ok(added(left?, right?))
    }

    fn nothing(&self) -> Sum<T> {
        (Losses::new(self.losses.iter().map(|&id| (id, 0.0)).collect()), vec![T::ZERO; self.n_values])
    }

    /// Values of the losses in the order of messages.
    fn values_of(&self, losses: &Losses) -> Vec<f64> {
        self.losses.iter().map(|&id| losses.of(id)).collect()
    }

    /// Losses with the values of a message; they keep their order.
    fn named(&self, losses: &Losses, values: &[f64]) -> Losses {
        let value = |id: LossId| self.losses.iter().position(|&other| other == id).map_or(0.0, |place| values[place]);
        losses.with(value)
    }
}

fn middle(shards: &Range<usize>) -> usize {
    shards.start + shards.len().div_ceil(2)
}

fn added<T: Number>((mut losses, mut gradient): Sum<T>, (more, other): Sum<T>) -> Sum<T> {
    losses.add(&more);
    gradient.iter_mut().zip(other).for_each(|(sum, part)| *sum += part);
    (losses, gradient)
}

#[cfg(test)]
mod tests {
    use potstill_testkit::ranks::together;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_sum_has_the_same_bits_for_any_number_of_processes(n_shards in 1_usize..20, n_ranks in 1_usize..6, seed in 1_u32..1000) {
            let number = |shard: usize, k: usize| ((shard * 31 + k * 7 + 1) as f32 * seed as f32).sin() * 10_f32.powi(k as i32);
            let losses = [LossId::Energy, LossId::Forces];
            let shard = |shard: usize| {
                let losses = Losses::new(vec![(LossId::Energy, f64::from(number(shard, 0))), (LossId::Forces, 0.1)]);
                Ok((losses, (0..5).map(|k| number(shard, k)).collect::<Vec<f32>>()))
            };
            let of = |n_ranks: usize, parallel: bool| {
                together(n_ranks, |ranks| {
                    let tree = Tree { ranks, n_shards, parallel, losses: &losses, n_values: 5, shard: &shard };
                    tree.total().unwrap()
                })
            };
            let alone = of(1, false).remove(0);
            for sum in of(n_ranks, true) {
                prop_assert_eq!(&sum, &alone);
            }
        }
    }
}
