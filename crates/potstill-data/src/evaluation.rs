//! Evaluating many systems in parallel batches.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::dataset::{Systems, Visit};
use potstill_core::{Potential, Prediction, Result, System};

/// Batches that each thread gets before results are handed over: enough to keep all threads busy to the end of a round.
const BATCHES_PER_THREAD: usize = 8;

/// Receiver of each batch: its systems, and the prediction for them.
pub type TakeBatch<'a> = dyn FnMut(&[Cow<'_, System>], &Prediction) -> Result<()> + 'a;

/// Atoms of systems that are evaluated together, about.
pub const ATOMS_PER_BATCH: usize = 400;

/// Evaluates all `systems` in batches of about `max_atoms` atoms and gives the results to `each`, in order. No more than a few batches are in memory at a time.
///
/// # Errors
/// That of the first batch that fails, with the system's index among all of `systems`; the first of `each`, which numbers systems from
/// the first of the batch.
pub fn evaluate_each(
    potential: &dyn Potential,
    systems: &Systems,
    max_atoms: usize,
    each: &mut TakeBatch<'_>,
) -> Result<()> {
    evaluate_batches(potential, systems, &systems.batches(max_atoms), each)
}

/// Evaluates some batches as [`evaluate_each`] does.
///
/// # Errors
/// As [`evaluate_each`].
pub fn evaluate_batches(
    potential: &dyn Potential,
    systems: &Systems,
    batches: &[Range<usize>],
    each: &mut TakeBatch<'_>,
) -> Result<()> {
    let one = |batch: &Range<usize>| {
        let members = systems.get_all(batch.clone())?;
        let borrowed: Vec<&System> = members.iter().map(AsRef::as_ref).collect();
        let prediction = potential.evaluate(&borrowed).map_err(|e| systems.locate(e.shifted(batch.start)))?;
        Ok((members, prediction))
    };
    for round in batches.chunks(BATCHES_PER_THREAD * rayon::current_num_threads()) {
        let parts: Vec<Result<_>> = round.par_iter().map(one).collect();
        for (part, batch) in parts.into_iter().zip(round) {
            let (members, prediction) = part?;
            each(&members, &prediction).map_err(|e| systems.locate(e.shifted(batch.start)))?;
        }
    }
    Ok(())
}
