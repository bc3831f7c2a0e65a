//! The interface of a distillation strategy.

use std::fmt::Debug;

use burn::tensor::Tensor;
use potstill_core::Result;

use super::comparison::Comparison;
use super::needs::FeatureNeeds;
use super::probes::Probes;
use super::questions::Holds;
use super::weight::{Weight, WeightSchedule};

/// One way of learning from a teacher: the settings of a term of the loss, what it needs, and the loss itself.
///
/// A strategy of this crate is a file in `distill/strategies` and a line in its registry, which makes it readable from TOML.
/// A strategy of another crate goes into a run as [`Term::custom`](super::Term::custom).
pub trait Strategy: Debug + Send + Sync {
    /// Name of the strategy in configurations, metrics and errors.
    fn name(&self) -> &'static str;

    /// Weight λ of the loss.
    fn weight(&self) -> Weight;

    /// Multiplies every weight by `factor`.
    fn scale(&mut self, factor: f64);

    /// Loss on one shard, already multiplied by [`Comparison::weight`], as its share of the mean over the whole batch.
    ///
    /// # Errors
    /// An answer of the teacher that is missing.
    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>>;

    /// Every weight as a number. A term whose weights are all 0 is left out of the run.
    fn weights(&self) -> Vec<f64> {
        vec![self.weight().number()]
    }

    /// Change of the weight over the run.
    fn schedule(&self) -> WeightSchedule {
        WeightSchedule::default()
    }

    /// Checks the settings that belong to this strategy alone.
    ///
    /// # Errors
    /// A message that says what is wrong.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Features that are compared, if any.
    fn features(&self) -> Option<FeatureNeeds<'_>> {
        None
    }

    /// Directions along which derivatives of the forces are compared, if any. The output and the targets of
    /// [`Strategy::loss`] are then those of pairs of displaced systems.
    fn probes(&self) -> Option<Probes> {
        None
    }

    /// Whether virials of the teacher are compared; the student must then have gradient forces.
    fn virials(&self) -> bool {
        false
    }

    /// Labels that the strategy compares and this teacher lacks, with a way out; none when all are there.
    fn lacking(&self, _holds: Holds) -> Option<&'static str> {
        None
    }
}
