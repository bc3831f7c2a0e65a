//! Weights of the distillation terms: fixed, found from gradients, changing over the run.

use potstill_core::Result;
use potstill_nn::parameters;

use super::Trainer;
use crate::distill::terms::Terms;
use crate::distill::{LossId, TermId, TermWeights, Weight};
use crate::step::{Part, StepContext};
use burn::tensor::Element;
use potstill_nn::Number;

impl<T: Number + Element> Trainer<'_, T> {
    /// Names of the distillation terms as metrics show them, with their weights at the full height of their schedules.
    pub fn weights(&self) -> Vec<(String, f64)> {
        self.weights.iter().map(|(id, weight)| (id.to_string(), weight)).collect()
    }

    /// Fixed weights as they are; the others by the norms of gradients with respect to the network on the first batch.
    pub(super) fn settle_weights(&self, terms: &Terms) -> Result<TermWeights> {
        if !terms.weights().any(|(_, weight)| matches!(weight, Weight::Auto(_))) {
            return Ok(terms.weights().map(|(id, weight)| (id, weight.number())).collect());
        }
        let first = self.sampler.epoch(0);
        let Some(batch) = first.first() else { return Ok(terms.weights().map(|(id, _)| (id, 0.0)).collect()) };
        let n_network = parameters::describe(&self.student.network).iter().map(|i| i.range().end).max().unwrap_or(0);
        let ones = terms.weights().map(|(id, _)| (id, 1.0)).collect();
        let context = StepContext { term_weights: ones, ..self.context(self.job.train) };
        let norm = |id: LossId| -> Result<f64> {
            let (_, gradient) = context.gradient_of(Part::One(id), &self.values, batch)?;
            Ok(gradient[..n_network].iter().map(|g| g.to_f64().powi(2)).sum::<f64>().sqrt())
        };
        let main = norm(if self.job.training.force_weight > 0.0 { LossId::Forces } else { LossId::Energy })?;
        let settle = |(id, weight): (TermId, Weight)| -> Result<(TermId, f64)> {
            let Weight::Auto(times) = weight else { return Ok((id, weight.number())) };
            let own = norm(LossId::Term(id))?;
            // A term without a gradient at the start, or a teacher that agrees: nothing to compare with.
            Ok((id, if own > 0.0 && main > 0.0 { times * main / own } else { times }))
        };
        terms.weights().map(settle).collect()
    }

    /// Weights of the terms in the next step.
    pub(super) fn term_weights(&self) -> TermWeights {
        let Some(terms) = self.job.terms else { return TermWeights::default() };
        let done = self.time_done.unwrap_or(self.progress.step as f64 / self.total_steps().max(1) as f64);
        terms.scheduled(&self.weights, done)
    }
}
