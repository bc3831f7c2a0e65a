//! Labels of each round, within the number of times that the teacher may be asked.

use potstill_core::{Error, Result};

use super::zero::ASKED;
use super::{Distillation, n_validation, start};

/// Fewest structures of a round that make sense.
const FEWEST: usize = 8;

impl Distillation<'_> {
    /// Times that the teacher is asked, at most, if each round labels that many structures.
    fn calls_for(&self, labels: usize) -> usize {
        let n_validation = n_validation(labels);
        let first = [labels - n_validation, n_validation].map(|n| start::n_calls(self.rounds, self.seeds.len(), n));
        self.other_calls() + first.iter().sum::<usize>() + (self.rounds.n - 1) * labels
    }

    /// Calls that are not for structures of rounds: for the zero of its energies, and for its dynamics at the end.
    fn other_calls(&self) -> usize {
        self.rounds.comparison_calls + if self.fine_tunes() { ASKED } else { 0 }
    }

    /// Refuses a number of calls that is too small for the rounds.
    ///
    /// # Errors
    /// Names the smallest number that would do.
    pub(super) fn check_budget(&self) -> Result<()> {
        let needed = self.calls_for(FEWEST.min(self.rounds.labels));
        match self.rounds.teacher_calls.filter(|&calls| calls < needed) {
            Some(calls) => {
                let message = format!(
                    "is {calls}; {} rounds ask at least {needed} times, {} of them not for structures to learn from; give more, \
                     fewer rounds, a smaller comparison_calls, or teacher_dynamics = false",
                    self.rounds.n,
                    self.other_calls()
                );
                Err(Error::setting("distill.rounds.teacher_calls", message))
            }
            None => Ok(()),
        }
    }

    /// Structures that the teacher labels for a round.
    ///
    /// # Errors
    /// A file of an earlier round that cannot be read.
    pub(super) fn labels_for(&self, round: usize) -> Result<usize> {
        let most = self.rounds.labels;
        let Some(calls) = self.rounds.teacher_calls else { return Ok(most) };
        if round == 1 {
            // The largest number that all rounds can have.
            let (mut fits, mut too_many) = (FEWEST.min(most), most + 1);
            while too_many - fits > 1 {
                let middle = fits.midpoint(too_many);
                if self.calls_for(middle) <= calls { fits = middle } else { too_many = middle }
            }
            return Ok(fits);
        }
        // What the rounds before left.
        let mut used = self.other_calls();
        for earlier in 1..round {
            used += self.structures(earlier).found()?.map_or(0, |found| found.n_calls);
        }
        Ok((calls.saturating_sub(used) / (self.rounds.n + 1 - round)).clamp(1, most))
    }
}
