//! Shards of a batch among the processes of a run.

use std::ops::Range;

use potstill_data::dataset::shards;

use super::StepContext;
use crate::prepared::SystemWeights;

/// Shards of a batch, and those that this process works on.
pub struct Division {
    /// Number of shards of the whole batch.
    pub n_shards: usize,
    /// Shards of this process.
    own: Range<usize>,
    /// Places in the batch of the systems of this process, shard by shard.
    systems: Vec<usize>,
    /// First system of each of its shards, and their number at the end.
    first: Vec<usize>,
}

impl Division {
    /// Division of a batch into at most `n` shards by numbers of atoms: edges are unknown before a system is read.
    pub fn new(context: &StepContext<'_>, batch: &[usize], n: usize) -> Self {
        let costs: Vec<usize> = batch.iter().map(|&i| context.split.systems().n_atoms(i)).collect();
        let places: Vec<usize> = (0..batch.len()).collect();
        let all = shards(&places, &costs, n);
        let own = context.ranks.block(context.ranks.rank(), all.len());
        let mut division = Self { n_shards: all.len(), own: own.clone(), systems: Vec::new(), first: vec![0] };
        for shard in &all[own] {
            division.systems.extend(shard);
            division.first.push(division.systems.len());
        }
        division
    }

    /// Systems of this process out of those of a batch.
    pub fn of(&self, batch: &[usize]) -> Vec<usize> {
        self.systems.iter().map(|&place| batch[place]).collect()
    }

    /// Weights of the systems of this process.
    pub fn weights(&self, all: &SystemWeights) -> SystemWeights {
        let of = |weights: &[f64]| self.systems.iter().map(|&place| weights[place]).collect();
        SystemWeights { labels: of(&all.labels), terms: of(&all.terms) }
    }

    /// Number of shards of this process.
    pub fn n_own(&self) -> usize {
        self.own.len()
    }

    /// Ranges of this process's systems that its shards are.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.first.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// Places of a shard's systems among those of this process.
    pub fn places(&self, shard: usize) -> Vec<usize> {
        let k = shard - self.own.start;
        (self.first[k]..self.first[k + 1]).collect()
    }
}
