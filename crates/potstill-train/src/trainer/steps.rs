//! One optimisation step, and its report.

use potstill_core::{Error, Result};

use super::Trainer;
use crate::distill::LossId;
use crate::observer::StepReport;
use crate::optimizer::{averaging_decay, clip_global_norm, update_average};
use crate::prepared::Split;
use crate::step::{Losses, StepContext};
use burn::tensor::Element;
use potstill_nn::Number;

impl<'a, T: Number + Element> Trainer<'a, T> {
    /// Everything that steps on these systems read.
    pub(super) fn context(&self, split: &'a Split) -> StepContext<'_> {
        StepContext {
            template: &self.student,
            forces: self.job.header.model.forces(),
            split,
            seed: self.job.seed,
            step: self.progress.step,
            divisors: &self.divisors,
            terms: self.job.terms,
            term_weights: self.term_weights(),
            training: self.job.training,
            bytes_per_edge: self.job.header.model.training_bytes_per_edge() * size_of::<T>() / size_of::<f32>(),
            device: &self.device,
            ranks: self.job.ranks,
            n_shards: self.n_shards,
        }
    }

    /// One optimisation step on the systems `batch`.
    ///
    /// # Errors
    /// A loss or gradient that is not finite.
    pub fn step(&mut self, batch: &[usize]) -> Result<StepReport> {
        let learning_rate = self.schedule.learning_rate(self.progress.step, self.time_done);
        let (losses, mut gradient) = self.context(self.job.train).gradient(&self.values, batch)?;
        let gradient_norm = clip_global_norm(&mut gradient, self.job.training.clip_norm);
        if !(losses.total().is_finite() && gradient_norm.is_finite()) {
            return Err(self.not_finite(batch, &losses, gradient_norm)?);
        }
        self.optimizer.step(&mut self.values, &gradient, learning_rate);
        let (decay, warmup) = (self.job.training.ema_decay, self.job.training.ema_warmup);
        self.progress.step += 1;
        update_average(&mut self.average, &self.values, averaging_decay(decay, warmup, self.progress.step));
        self.progress.batch += 1;
        self.progress.seconds = self.seconds();
        Ok(StepReport {
            step: self.progress.step,
            epoch: self.progress.epoch,
            learning_rate,
            loss: losses.total(),
            energy_loss: losses.of(LossId::Energy),
            force_loss: losses.of(LossId::Forces),
            stress_loss: (self.job.training.stress_weight > 0.0).then(|| losses.of(LossId::Stress)),
            distill_losses: losses.terms().map(|(_, loss)| loss).collect(),
            gradient_norm,
            n_rejected: losses.n_rejected,
            n_systems: batch.len(),
            seconds: self.progress.seconds,
        })
    }

    fn not_finite(&self, batch: &[usize], losses: &Losses, gradient_norm: f64) -> Result<Error> {
        let members = self.job.train.members(batch)?;
        let members: Vec<&str> = members.iter().map(|m| m.prepared.label.as_str()).collect();
        let state = self.job.folder.state();
        let kept = match state.exists() && self.job.folder.is_entered() {
            true => format!("the last good checkpoint is {}", state.display()),
            false => "there was no checkpoint yet".to_owned(),
        };
        Ok(Error::Other(format!(
            "step {}: loss {} (energy {}, forces {}), gradient norm {gradient_norm}; batch of systems {}; {kept}; lower \
             training.learning_rate or look at these systems",
            self.progress.step + 1,
            losses.total(),
            losses.of(LossId::Energy),
            losses.of(LossId::Forces),
            members.join(", ")
        )))
    }
}

/// Means of some steps, under the number of the last one.
pub(super) fn mean_report(window: &[StepReport]) -> Option<StepReport> {
    let last = window.last()?;
    let n = window.len() as f64;
    let mean = |f: &dyn Fn(&StepReport) -> f64| window.iter().map(f).sum::<f64>() / n;
    Some(StepReport {
        loss: mean(&|r| r.loss),
        energy_loss: mean(&|r| r.energy_loss),
        force_loss: mean(&|r| r.force_loss),
        stress_loss: last.stress_loss.map(|_| mean(&|r| r.stress_loss.unwrap_or_default())),
        distill_losses: (0..last.distill_losses.len()).map(|k| mean(&|r| r.distill_losses[k])).collect(),
        gradient_norm: mean(&|r| r.gradient_norm),
        n_rejected: window.iter().map(|r| r.n_rejected).sum(),
        ..last.clone()
    })
}
