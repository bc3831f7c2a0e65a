//! Agreement of the processes of a run: when it ends, how far it is, which weights it has.

use std::sync::atomic::Ordering;

use burn::tensor::Element;
use potstill_core::ranks::Ranks;
use potstill_core::{Error, Result};
use potstill_nn::Number;

use super::Trainer;
use crate::observer::Ending;

/// Reasons to end before a step, by their codes in a message less one.
const ENDINGS: [Ending; 3] = [Ending::Finished, Ending::OutOfTime, Ending::Interrupted];

/// Shards of a batch: those of the settings, else as many as threads of all processes; none where one process divides by threads.
pub(super) fn shards(ranks: &dyn Ranks, setting: Option<usize>) -> Option<usize> {
    if ranks.is_alone() {
        return setting;
    }
    // Processes may have different numbers of threads.
    let mut threads = (rayon::current_num_threads() as u64).to_le_bytes();
    ranks.broadcast(&mut threads);
    Some(setting.unwrap_or(ranks.n_ranks() * u64::from_le_bytes(threads) as usize))
}

impl<T: Number + Element> Trainer<'_, T> {
    /// Reason to end before the next step. Rank 0 has the clock; a signal may reach any process first, but ends the run when it has
    /// reached rank 0.
    pub(super) fn agreed_ending(&mut self) -> Option<Ending> {
        let own = self.must_end().and_then(|ending| ENDINGS.iter().position(|&other| other == ending));
        let mut message = [0; 9];
        message[0] = own.map_or(0, |place| place as u8 + 1);
        message[1..].copy_from_slice(&self.own_time_done().unwrap_or(f64::NAN).to_le_bytes());
        self.job.ranks.broadcast(&mut message);
        let [code, time @ ..] = message;
        let time = f64::from_le_bytes(time);
        self.time_done = (!time.is_nan()).then_some(time);
        ENDINGS.get(usize::from(code).checked_sub(1)?).copied()
    }

    fn must_end(&self) -> Option<Ending> {
        if self.job.interrupt.load(Ordering::Relaxed) {
            return Some(Ending::Interrupted);
        }
        if self.job.training.max_steps.is_some_and(|limit| self.progress.step >= limit) {
            return Some(Ending::Finished);
        }
        self.own_time_done().is_some_and(|done| done >= 1.0).then_some(Ending::OutOfTime)
    }

    /// Part of the run's time that is over by the clock of this process, when time limits it.
    fn own_time_done(&self) -> Option<f64> {
        self.job.training.max_minutes.map(|minutes| self.seconds() / (60.0 * minutes))
    }

    /// Compares the weights of all processes, which make the same steps: processors that round differently would drift apart.
    ///
    /// # Errors
    /// Other weights than those of rank 0.
    pub(super) fn check_weights(&self) -> Result<()> {
        let ranks = self.job.ranks;
        if ranks.is_alone() {
            return Ok(());
        }
        let own = blake3::hash(bytemuck::cast_slice(&self.values)).as_bytes().to_vec();
        let different = ranks.shared(own.clone()) != own;
        let n_different = ranks.sums(&[f64::from(u8::from(different))])[0];
        if n_different > 0.0 {
            return Err(Error::Other(format!(
                "step {}: {n_different} of {} processes have other weights than the first one; run them on processors of one kind",
                self.progress.step,
                ranks.n_ranks()
            )));
        }
        Ok(())
    }
}
