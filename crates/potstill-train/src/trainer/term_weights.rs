//! Weights of the distillation terms: fixed, found from gradients, changing over the run.

use potstill_core::Result;
use potstill_nn::parameters;

use super::Trainer;
use crate::distill::Weight;
use crate::distill::terms::Terms;
use crate::step::{Part, StepContext};
use burn::tensor::Element;
use potstill_nn::Number;

impl<T: Number + Element> Trainer<'_, T> {
    /// Names of the distillation terms with their weights, those that had to be found among them.
    pub fn weights(&self) -> Vec<(String, f64)> {
        let names = self.job.terms.map(Terms::names).unwrap_or_default();
        names.iter().cloned().zip(self.weights.iter().copied()).collect()
    }

    /// Fixed weights as they are; the others by the norms of gradients with respect to the network on the first batch.
    pub(super) fn settle_weights(&self, terms: &Terms) -> Result<Vec<f64>> {
        let is_auto = |w: &Weight| matches!(w, Weight::Auto(_));
        if !terms.weights().iter().any(is_auto) {
            return Ok(terms.weights().iter().map(|w| w.number()).collect());
        }
        let first = self.sampler.epoch(0);
        let Some(batch) = first.first() else { return Ok(vec![0.0; terms.weights().len()]) };
        let n_network = parameters::describe(&self.student.network).iter().map(|i| i.range().end).max().unwrap_or(0);
        let context = StepContext { term_weights: vec![1.0; terms.weights().len()], ..self.context(self.job.train) };
        let norm = |part: Part| -> Result<f64> {
            let (_, gradient) = context.gradient_of(part, &self.values, batch)?;
            Ok(gradient[..n_network].iter().map(|g| g.to_f64().powi(2)).sum::<f64>().sqrt())
        };
        let main = norm(if self.job.training.force_weight > 0.0 { Part::Forces } else { Part::Energy })?;
        let settle = |(term, weight): (usize, &Weight)| -> Result<f64> {
            let Weight::Auto(times) = weight else { return Ok(weight.number()) };
            let own = norm(Part::Term(term))?;
            // A term without a gradient at the start, or a teacher that agrees: nothing to compare with.
            Ok(if own > 0.0 && main > 0.0 { times * main / own } else { *times })
        };
        terms.weights().iter().enumerate().map(settle).collect()
    }

    /// Weights of the terms in the next step.
    pub(super) fn term_weights(&self) -> Vec<f64> {
        let Some(terms) = self.job.terms else { return Vec::new() };
        let done = self.time_done().unwrap_or(self.progress.step as f64 / self.total_steps().max(1) as f64);
        self.weights.iter().zip(terms.schedule_factors(done)).map(|(weight, factor)| weight * factor).collect()
    }
}
