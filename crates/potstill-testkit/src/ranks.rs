//! Threads that stand in for the processes of a job.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use potstill_core::ranks::Ranks;

/// One of several threads; messages go through channels.
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Ranks for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn n_ranks(&self) -> usize {
        self.to.len()
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        self.to[to].send(bytes.to_vec()).expect("the other thread has ended");
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) {
        let message = self.from[from].lock().expect("a lock").recv().expect("the other thread has ended");
        bytes.copy_from_slice(&message);
    }

    fn broadcast(&self, bytes: &mut [u8]) {
        match self.rank {
            0 => (1..self.n_ranks()).for_each(|rank| self.send(rank, bytes)),
            _ => self.receive(0, bytes),
        }
    }
}

/// Runs a function as each of `n` ranks, side by side; returns their results in order.
pub fn together<R: Send>(n: usize, run: impl Fn(&ThreadRank) -> R + Sync) -> Vec<R> {
    let mut ranks: Vec<ThreadRank> = (0..n).map(|rank| ThreadRank { rank, to: Vec::new(), from: Vec::new() }).collect();
    for from in 0..n {
        for to in 0..n {
            let (sender, receiver) = channel();
            ranks[from].to.push(sender);
            ranks[to].from.push(Mutex::new(receiver));
        }
    }
    std::thread::scope(|scope| {
        // Each thread takes its end of the channels along: where one panics, the others end, too.
        let run = &run;
        let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(move || run(&rank))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank failed")).collect()
    })
}

#[cfg(test)]
mod tests {
    use potstill_core::Error;

    use super::*;

    #[test]
    fn what_rank_0_finds_is_told_to_all() {
        let told = together(3, |ranks| {
            let ranks: &dyn Ranks = ranks;
            let found = ranks.told(|| Ok((ranks.rank(), 0.1 + 0.2))).unwrap();
            let error = ranks.told::<f64>(|| Err(Error::Other(format!("rank {} failed", ranks.rank())))).unwrap_err();
            let order = ranks.after_the_first(|| ranks.rank());
            (found, error.to_string(), order)
        });
        for (rank, result) in told.into_iter().enumerate() {
            assert_eq!(result, ((0, 0.1 + 0.2), "rank 0 failed".to_owned(), rank));
        }
    }
}
