//! Errors of a student on the test sets: against the labels, and against its teacher.

use std::borrow::Cow;
use std::path::Path;

use potstill_core::metrics::{Evaluator, Metrics};
use potstill_core::{Prediction, Result, System};
use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::parity::Pairs;
use super::teacher::Answers;
use crate::evaluation::{Evaluation, measure};

/// Errors of a student on one test set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judged {
    /// Errors against the labels, and speed.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Errors against the teacher's answers about the same systems.
    pub against_teacher: Metrics,
}

impl Bench<'_> {
    /// Errors of a model on every test set, and its predictions beside the labels of the first.
    ///
    /// # Errors
    /// A model or systems that cannot be read.
    pub fn judge(&self, model: &Path, name: &str) -> Result<(Vec<Judged>, Pairs)> {
        let potential = self.host.potential(model)?;
        let task = self.host.task(name, self.tests.iter().map(|set| set.systems.len()).sum());
        let (mut pairs, mut n_done, mut all) = (Pairs::default(), 0, Vec::new());
        for (k, (set, answers)) in self.tests.iter().zip(&self.answers).enumerate() {
            let mut comparison = Comparison::with(answers);
            let evaluation = measure(&*potential, &set.systems, None, &mut |systems, prediction| {
                if k == 0 {
                    pairs.add(systems, prediction);
                }
                comparison.add(systems, prediction);
                n_done += systems.len();
                task.set(n_done);
            })?;
            all.push(Judged { evaluation, against_teacher: comparison.finish()? });
        }
        Ok((all, pairs))
    }
}

/// Errors of predictions against a teacher's answers about the same systems, in their order.
struct Comparison<'a> {
    answers: &'a Answers,
    evaluator: Evaluator,
    n_systems: usize,
    result: Result<()>,
}

impl<'a> Comparison<'a> {
    fn with(answers: &'a Answers) -> Self {
        Self { answers, evaluator: Evaluator::new(), n_systems: 0, result: Ok(()) }
    }

    /// Takes in a batch. The first failure is kept for [`Self::finish`].
    fn add(&mut self, systems: &[Cow<'_, System>], prediction: &Prediction) {
        let first = self.n_systems;
        self.n_systems += systems.len();
        let told = |(k, system): (usize, &Cow<'_, System>)| System {
            energy: self.answers.energy.get(first + k).copied(),
            forces: self.answers.forces.get(first + k).cloned(),
            stress: None,
            ..system.as_ref().clone()
        };
        let told: Vec<System> = systems.iter().enumerate().map(told).collect();
        if self.result.is_ok() {
            self.result = self.evaluator.update_batch(&told, prediction);
        }
    }

    fn finish(self) -> Result<Metrics> {
        self.result.map(|()| self.evaluator.finish())
    }
}
