//! Batches of an epoch, and the shards of a batch.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use potstill_core::error::{Error, Result};

/// Limit at which a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchSize {
    /// At that many systems.
    Systems(usize),
    /// Before it would exceed that many atoms; a system larger than that is a batch of its own.
    Atoms(usize),
}

/// The order in which an epoch visits the systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Order of the dataset in every epoch: for evaluation.
    Sequential,
    /// Shuffled anew in every epoch.
    #[default]
    Shuffled,
    /// Shuffled, but systems of a batch have similar numbers of atoms, which evens out memory and time.
    Bucketed,
}

/// Systems are sorted by size within stretches of this many batches: enough to find company, few enough to stay random.
const BUCKET_BATCHES: usize = 50;

/// Draws the batches of each epoch. Every epoch visits every system exactly once.
///
/// The batches are a function of seed and epoch alone: to resume, draw the epoch again and skip the batches done.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    atom_counts: Vec<usize>,
    batch_size: BatchSize,
    order: Order,
    seed: u64,
    extra: Option<Extra>,
}

/// Systems of which an epoch visits some.
#[derive(Debug, Clone, PartialEq)]
struct Extra {
    /// The first of them; they are the last ones of all.
    first: usize,
    per_epoch: usize,
}

impl Sampler {
    /// A sampler of the systems whose numbers of atoms are `atom_counts`.
    ///
    /// # Errors
    /// A batch size of zero.
    pub fn new(atom_counts: Vec<usize>, batch_size: BatchSize, order: Order, seed: u64) -> Result<Self> {
        if matches!(batch_size, BatchSize::Systems(0) | BatchSize::Atoms(0)) {
            return Err(Error::setting("batch_size", "is 0; it must be at least 1"));
        }
        Ok(Self { atom_counts, batch_size, order, seed, extra: None })
    }

    /// Of the systems from `first` on, an epoch visits only as many as make up `part` of it, each as often as the others
    /// over many epochs.
    #[must_use]
    pub fn with_extra(self, first: usize, part: f64) -> Self {
        let per_epoch = if first < self.atom_counts.len() { first as f64 * part / (1.0 - part) } else { 0.0 };
        Self { extra: Some(Extra { first, per_epoch: per_epoch.round() as usize }), ..self }
    }

    /// Number of systems in an epoch.
    pub fn n_systems(&self) -> usize {
        self.extra.as_ref().map_or(self.atom_counts.len(), |extra| extra.first + extra.per_epoch)
    }

    /// Members of an epoch, in no order that matters.
    fn members(&self, epoch: u64) -> Vec<usize> {
        let Some(extra) = &self.extra else { return (0..self.atom_counts.len()).collect() };
        let n = self.atom_counts.len() - extra.first;
        let mut members: Vec<usize> = (0..extra.first).collect();
        // Visits are counted through all epochs; each round through the extra systems has an order of its own.
        let mut visit = epoch.wrapping_mul(extra.per_epoch as u64);
        let end = visit.wrapping_add(extra.per_epoch as u64);
        while visit < end {
            let (round, place) = (visit / n as u64, (visit % n as u64) as usize);
            let mut order: Vec<usize> = (extra.first..self.atom_counts.len()).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(u64::MAX - round);
            order.shuffle(&mut rng);
            let taken = (n - place).min((end - visit) as usize);
            members.extend(&order[place..place + taken]);
            visit += taken as u64;
        }
        members
    }

    /// The batches of an epoch, as indices into `atom_counts`; none is empty.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        let mut indices = self.members(epoch);
        if self.order == Order::Sequential {
            return self.cut(&indices);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch);
        indices.shuffle(&mut rng);
        if self.order == Order::Shuffled {
            return self.cut(&indices);
        }
        self.sort_buckets(&mut indices);
        let mut batches = self.cut(&indices);
        batches.shuffle(&mut rng);
        batches
    }

    /// Sorts stretches by size, up and down in turn, so that a batch across a seam also holds similar sizes.
    fn sort_buckets(&self, indices: &mut [usize]) {
        for (k, bucket) in indices.chunks_mut(self.bucket_length()).enumerate() {
            // Stable, so equal sizes keep their shuffled order.
            bucket.sort_by_key(|&i| self.atom_counts[i]);
            if k % 2 == 1 {
                bucket.reverse();
            }
        }
    }

    /// Systems in a stretch of [`BUCKET_BATCHES`] batches.
    fn bucket_length(&self) -> usize {
        let per_batch = match self.batch_size {
            BatchSize::Systems(n) => n,
            BatchSize::Atoms(n) => {
                let mean = self.atom_counts.iter().sum::<usize>() / self.atom_counts.len().max(1);
                n / mean.max(1)
            }
        };
        per_batch.max(1).saturating_mul(BUCKET_BATCHES)
    }

    fn cut(&self, indices: &[usize]) -> Vec<Vec<usize>> {
        let limit = match self.batch_size {
            BatchSize::Systems(n) => return indices.chunks(n).map(<[usize]>::to_vec).collect(),
            BatchSize::Atoms(n) => n,
        };
        let mut batches = Vec::new();
        let mut batch = Vec::new();
        let mut n_atoms: usize = 0;
        for &i in indices {
            if !batch.is_empty() && n_atoms.saturating_add(self.atom_counts[i]) > limit {
                batches.push(std::mem::take(&mut batch));
                n_atoms = 0;
            }
            batch.push(i);
            n_atoms = n_atoms.saturating_add(self.atom_counts[i]);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

/// Divides a batch into at most `n` shards of about equal weight, for one thread each.
///
/// `weights[k]` is the cost of `indices[k]`, for example its number of edges or atoms. The heaviest goes first, each to
/// the lightest shard so far, so no shard exceeds an equal share by more than one system. Returns `min(n, n_systems)`
/// shards, none empty, each in the order of the batch; the same for the same arguments. A missing weight counts 0.
pub fn shards(indices: &[usize], weights: &[usize], n: usize) -> Vec<Vec<usize>> {
    let n = n.clamp(1, indices.len().max(1));
    let weight = |k: usize| weights.get(k).copied().unwrap_or(0);
    let mut heaviest_first: Vec<usize> = (0..indices.len()).collect();
    heaviest_first.sort_by_key(|&k| std::cmp::Reverse(weight(k)));
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut loads = vec![0usize; n];
    for k in heaviest_first {
        // Equal loads (systems without edges weigh nothing) go by number of systems, then by place.
        let lightest = (0..n).min_by_key(|&s| (loads[s], members[s].len())).unwrap_or(0);
        loads[lightest] = loads[lightest].saturating_add(weight(k));
        members[lightest].push(k);
    }
    members.retain(|shard| !shard.is_empty());
    for shard in &mut members {
        shard.sort_unstable();
        shard.iter_mut().for_each(|k| *k = indices[*k]);
    }
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(sizes: &[usize], batch_size: BatchSize, order: Order) -> Sampler {
        Sampler::new(sizes.to_vec(), batch_size, order, 3).unwrap()
    }

    #[test]
    fn sequential_batches_keep_the_order() {
        let batches = sampler(&[1; 5], BatchSize::Systems(2), Order::Sequential).epoch(9);
        assert_eq!(batches, [vec![0, 1], vec![2, 3], vec![4]]);
        let batches = sampler(&[3, 3, 9, 2, 2, 2], BatchSize::Atoms(6), Order::Sequential).epoch(0);
        assert_eq!(batches, [vec![0, 1], vec![2], vec![3, 4, 5]]);
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let a = sampler(&[1; 40], BatchSize::Systems(4), Order::Shuffled);
        assert_ne!(a.epoch(0), a.epoch(1));
        let b = Sampler::new(vec![1; 40], BatchSize::Systems(4), Order::Shuffled, 4).unwrap();
        assert_ne!(a.epoch(0), b.epoch(0));
    }

    #[test]
    fn a_seed_means_the_same_epoch_in_every_version() {
        // Runs that were interrupted before an upgrade must find their place again.
        let batches = sampler(&[1; 7], BatchSize::Systems(3), Order::Shuffled).epoch(1);
        assert_eq!(batches.concat(), [0, 5, 4, 1, 6, 3, 2]);
    }

    #[test]
    fn extra_systems_take_turns() {
        let sampler = sampler(&[1; 15], BatchSize::Systems(4), Order::Shuffled).with_extra(8, 0.2);
        assert_eq!(sampler.n_systems(), 10);
        let mut visits = [0; 15];
        for epoch in 0..7 {
            let all = sampler.epoch(epoch).concat();
            assert_eq!((all.len(), all.iter().filter(|&&i| i < 8).count()), (10, 8));
            all.into_iter().for_each(|i| visits[i] += 1);
        }
        assert_eq!(visits, [[7; 8].as_slice(), &[2; 7]].concat()[..]);
        // Two of every ten; none when there are none.
        let none = Sampler::new(vec![1; 8], BatchSize::Systems(4), Order::Shuffled, 3).unwrap().with_extra(8, 0.2);
        assert_eq!(none.n_systems(), 8);
    }

    #[test]
    fn buckets_hold_similar_sizes() {
        let sizes: Vec<usize> = (0..4000).map(|i| 3 + (i * 7919) % 40).collect();
        let spread = |order| -> usize {
            let range = |b: &Vec<usize>| {
                let of = b.iter().map(|&i| sizes[i]);
                of.clone().max().unwrap() - of.min().unwrap()
            };
            sampler(&sizes, BatchSize::Systems(16), order).epoch(0).iter().map(range).sum()
        };
        assert!(spread(Order::Bucketed) * 10 < spread(Order::Shuffled));
    }

    #[test]
    fn a_batch_size_of_zero_is_refused() {
        for size in [BatchSize::Systems(0), BatchSize::Atoms(0)] {
            let error = Sampler::new(vec![1], size, Order::Shuffled, 0).unwrap_err();
            assert_eq!(error.to_string(), "batch_size: is 0; it must be at least 1");
        }
    }

    #[test]
    fn nothing_to_draw() {
        assert!(sampler(&[], BatchSize::Atoms(4), Order::Bucketed).epoch(0).is_empty());
        assert!(shards(&[], &[], 3).is_empty());
    }

    #[test]
    fn shards_balance_and_keep_batch_order() {
        assert_eq!(shards(&[10, 11, 12, 13], &[1, 5, 2, 3], 2), [vec![10, 11], vec![12, 13]]);
        assert_eq!(shards(&[7, 8, 9], &[0, 0, 0], 2), [vec![7, 9], vec![8]]);
        assert_eq!(shards(&[7, 8], &[1, 1], 0), [vec![7, 8]]);
    }

    fn sorted(batches: &[Vec<usize>]) -> Vec<usize> {
        let mut all = batches.concat();
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn every_epoch_visits_each_system_once(
            sizes in prop::collection::vec(0usize..30, 0..200),
            limit in 1usize..40,
            by_atoms: bool,
            order in prop::sample::select(vec![Order::Sequential, Order::Shuffled, Order::Bucketed]),
            epoch: u64,
        ) {
            let batch_size = if by_atoms { BatchSize::Atoms(limit) } else { BatchSize::Systems(limit) };
            let sampler = sampler(&sizes, batch_size, order);
            let batches = sampler.epoch(epoch);
            prop_assert_eq!(sorted(&batches), (0..sizes.len()).collect::<Vec<_>>());
            prop_assert_eq!(&batches, &sampler.epoch(epoch));
            for batch in &batches {
                prop_assert!(!batch.is_empty());
                let n_atoms: usize = batch.iter().map(|&i| sizes[i]).sum();
                let fits = if by_atoms { n_atoms <= limit || batch.len() == 1 } else { batch.len() <= limit };
                prop_assert!(fits);
            }
            if !by_atoms {
                prop_assert_eq!(batches.len(), sizes.len().div_ceil(limit));
            }
        }

        #[test]
        fn shards_partition_within_one_system_of_equal(
            weights in prop::collection::vec(0usize..1000, 0..60),
            n in 1usize..9,
        ) {
            let indices: Vec<usize> = (100..100 + weights.len()).collect();
            let shards = shards(&indices, &weights, n);
            prop_assert_eq!(shards.len(), n.min(indices.len()));
            prop_assert_eq!(sorted(&shards), indices);
            let largest = weights.iter().max().copied().unwrap_or(0);
            let equal = weights.iter().sum::<usize>() as f64 / n as f64;
            for shard in &shards {
                prop_assert!(!shard.is_empty() && shard.is_sorted());
                let load: usize = shard.iter().map(|&i| weights[i - 100]).sum();
                prop_assert!(load as f64 <= equal + largest as f64);
            }
        }
    }
}
