//! A teacher that is not asked about structures beyond the limits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use potstill_core::{Error, Potential, Prediction, Result, System};

use super::Rejected;

/// Teacher that refuses structures with pairs that are too near, and answers that are not finite.
///
/// Dynamics and relaxations then end as with any structure that the potential refuses; [`Guard::end`] tells this from a failure.
pub(super) struct Guard<'a> {
    teacher: &'a dyn Potential,
    min_distance: f64,
    seen: Mutex<Seen>,
}

/// What went wrong so far.
#[derive(Default)]
struct Seen {
    rejected: Rejected,
    failure: Option<Error>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(teacher: &'a dyn Potential, min_distance: f64) -> Self {
        Self { teacher, min_distance, seen: Mutex::default() }
    }

    /// Counts what was refused since the last call. An error that came of it is none.
    ///
    /// # Errors
    /// The failure of the teacher, if that was it; else `error`, if nothing was refused.
    pub(super) fn end(&self, error: Error) -> Result<Rejected> {
        let Seen { rejected, failure } = std::mem::take(&mut *self.seen());
        match (failure, error) {
            (Some(failure), _) => Err(failure),
            (None, error) if rejected.total() == 0 => Err(error),
            (None, _) => Ok(rejected),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Potential for Guard<'_> {
    fn cutoff(&self) -> f64 {
        self.teacher.cutoff()
    }

    fn elements(&self) -> &[u8] {
        self.teacher.elements()
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        if let Some(index) = systems.iter().position(|system| !crate::moves::is_apart(system, self.min_distance)) {
            self.seen().rejected.distance += 1;
            return Err(Error::system(index, "atoms are too near"));
        }
        let prediction = self.teacher.evaluate(systems).map_err(|error| {
            let message = error.to_string();
            self.seen().failure = Some(error);
            Error::Other(message)
        })?;
        let mut first = 0;
        for (index, (system, energy)) in systems.iter().zip(&prediction.energy).enumerate() {
            let atoms = first..first + system.n_atoms();
            first = atoms.end;
            if !energy.is_finite() {
                self.seen().rejected.energy += 1;
                return Err(Error::system(index, "the energy is not finite"));
            }
            let forces = prediction.forces.get(atoms).unwrap_or_default();
            if !forces.as_flattened().iter().all(|f| f.is_finite()) {
                self.seen().rejected.force += 1;
                return Err(Error::system(index, "a force is not finite"));
            }
        }
        Ok(prediction)
    }
}
