//! Processes that work on one job together, as `mpirun` starts them.
//!
//! Every process runs the same program on the same settings. Rank 0 leads: it alone writes files and talks. What all must agree on
//! (times, decisions, sums) comes from it.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Messages between the processes of a job.
///
/// Calls come from one thread of each process, in an order that fits together. They do not fail: where another process is gone, the job
/// ends.
pub trait Ranks: Debug + Send + Sync {
    /// Number of this process, counted from 0.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn n_ranks(&self) -> usize;

    /// Sends bytes to a process, which receives as many.
    fn send(&self, to: usize, bytes: &[u8]);

    /// Overwrites bytes by those that a process sends.
    fn receive(&self, from: usize, bytes: &mut [u8]);

    /// Overwrites bytes by those of rank 0; every process calls it with as many.
    fn broadcast(&self, bytes: &mut [u8]);
}

impl dyn Ranks + '_ {
    /// Whether this process writes files and talks.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there is no other process.
    pub fn is_alone(&self) -> bool {
        self.n_ranks() == 1
    }

    /// Pieces of a numbered work of `n` that belong to a process: consecutive ones, their numbers differ by at most one, and rank 0 has
    /// the first.
    pub fn block(&self, rank: usize, n: usize) -> std::ops::Range<usize> {
        let start = |rank: usize| (rank * n).div_ceil(self.n_ranks());
        start(rank)..start(rank + 1)
    }

    /// Process whose block has a piece of a numbered work of `n`.
    pub fn owner(&self, piece: usize, n: usize) -> usize {
        (0..self.n_ranks()).find(|&rank| self.block(rank, n).contains(&piece)).unwrap_or(0)
    }

    /// Bytes of rank 0, of any length.
    pub fn shared(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut length = (bytes.len() as u64).to_le_bytes();
        self.broadcast(&mut length);
        let mut bytes = bytes;
        bytes.resize(u64::from_le_bytes(length) as usize, 0);
        self.broadcast(&mut bytes);
        bytes
    }

    /// What rank 0 finds, which alone looks for it: a pass over data that not every process need read.
    ///
    /// # Errors
    /// That of rank 0, at every process; a message of another version.
    pub fn told<T: Serialize + DeserializeOwned>(&self, find: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_alone() {
            return find();
        }
        let broken = |e: serde_json::Error| {
            Error::Other(format!("a message of rank 0 cannot be read ({e}); are all processes of one version?"))
        };
        if self.leads() {
            let found = find();
            let message = serde_json::to_vec(&found.as_ref().map_err(ToString::to_string)).map_err(broken)?;
            self.shared(message);
            return found;
        }
        let message: Result<T, String> = serde_json::from_slice(&self.shared(Vec::new())).map_err(broken)?;
        message.map_err(Error::Other)
    }

    /// Bytes of every process at rank 0, in the order of the processes; empty elsewhere.
    pub fn gathered(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        if !self.leads() {
            self.send(0, &(bytes.len() as u64).to_le_bytes());
            self.send(0, &bytes);
            return Vec::new();
        }
        let others = (1..self.n_ranks()).map(|rank| {
            let mut length = [0; 8];
            self.receive(rank, &mut length);
            let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
            self.receive(rank, &mut bytes);
            bytes
        });
        std::iter::once(bytes).chain(others).collect()
    }

    /// Sums of whole numbers over all processes; exact up to 2⁵³.
    pub fn sums(&self, numbers: &[f64]) -> Vec<f64> {
        if self.is_alone() {
            return numbers.to_vec();
        }
        let own = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut sums = vec![0.0; numbers.len()];
        for bytes in self.gathered(own) {
            sums.iter_mut().zip(floats(&bytes)).for_each(|(sum, number)| *sum += number);
        }
        floats(&self.shared(sums.into_iter().flat_map(f64::to_le_bytes).collect())).collect()
    }

    /// Work that rank 0 does first, and the others when it has left its files.
    pub fn after_the_first<T>(&self, work: impl FnOnce() -> T) -> T {
        if !self.leads() {
            self.meet();
        }
        let result = work();
        if self.leads() {
            self.meet();
        }
        result
    }

    /// Waits until every process is here.
    pub fn meet(&self) {
        self.sums(&[0.0]);
    }
}

/// Floats of a message.
fn floats(bytes: &[u8]) -> impl Iterator<Item = f64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes))
}

/// A process without others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn n_ranks(&self) -> usize {
        1
    }

    fn send(&self, _: usize, _: &[u8]) {}

    fn receive(&self, _: usize, _: &mut [u8]) {}

    fn broadcast(&self, _: &mut [u8]) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// So many processes, of which this is the first.
    #[derive(Debug)]
    struct Many(usize);

    impl Ranks for Many {
        fn rank(&self) -> usize {
            0
        }

        fn n_ranks(&self) -> usize {
            self.0
        }

        fn send(&self, _: usize, _: &[u8]) {}

        fn receive(&self, _: usize, _: &mut [u8]) {}

        fn broadcast(&self, _: &mut [u8]) {}
    }

    #[test]
    fn one_process_asks_nobody() {
        let alone: &dyn Ranks = &Alone;
        assert_eq!(alone.told(|| Ok(f64::NAN)).unwrap().to_string(), "NaN");
        assert!(alone.told::<()>(|| Err(Error::Other("no".to_owned()))).is_err());
    }

    proptest! {
        #[test]
        fn blocks_share_the_work_without_a_rest(n_ranks in 1_usize..40, n in 0_usize..100) {
            let many = Many(n_ranks);
            let ranks: &dyn Ranks = &many;
            let all: Vec<usize> = (0..n_ranks).flat_map(|rank| ranks.block(rank, n)).collect();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
            let sizes = (0..n_ranks).map(|rank| ranks.block(rank, n).len());
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
            prop_assert!(n == 0 || ranks.owner(0, n) == 0);
            prop_assert!((0..n).all(|piece| ranks.block(ranks.owner(piece, n), n).contains(&piece)));
        }
    }
}
