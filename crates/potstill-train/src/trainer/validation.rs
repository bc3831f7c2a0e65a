//! Validation of raw and averaged weights, and the choice of the best ones so far.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Element;
use potstill_core::Result;
use potstill_core::metrics::{Evaluator, Metrics};
use potstill_data::evaluation::ATOMS_PER_BATCH;
use potstill_nn::device::is_cpu;
use potstill_nn::model::Model;
use potstill_nn::tensors::to_host;
use potstill_nn::{Number, checkpoint, parameters};
use rayon::prelude::*;

use super::Trainer;
use super::steps::mean_report;
use crate::config::{BestBy, ValidatedWeights};
use crate::distill::{Counts, Student};
use crate::observer::{Observer, OtherWeights, ValidationReport, Weights};
use crate::prepared::Shard;
use crate::together::joined;

/// Forward passes of each thread in validation before their results are taken in.
const BATCHES_PER_THREAD: usize = 8;

/// Batches of the CPU that a graphics processor takes at a time.
const GPU_BATCHES: usize = 4;

/// Network with one kind of weights, and its validation.
struct Candidate {
    weights: Weights,
    student: Student,
    /// Loss, metrics and score; absent without validation systems.
    judged: Option<Judged>,
}

struct Judged {
    loss: f64,
    metrics: Metrics,
    score: f64,
}

impl<T: Number + Element> Trainer<'_, T> {
    /// Validates, records the result, and saves the weights when they are the best so far.
    pub(super) fn validate(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.flush_window()?;
        self.check_weights()?;
        let (chosen, others) = self.candidates()?;
        let best = self.is_best(&chosen);
        if let Some(judged) = &chosen.judged {
            self.progress.waited = if best { 0 } else { self.progress.waited + 1 };
            self.progress.best = if best { Some(judged.score) } else { self.progress.best };
            // The averaged weights, where they are validated: as the reference does.
            let averaged = others.iter().find(|other| other.weights == Weights::Averaged);
            let watched = averaged.and_then(|other| other.judged.as_ref()).unwrap_or(judged);
            self.schedule.observe(watched.loss);
            self.progress.plateau = self.schedule.plateau;
        }
        if best {
            let path = self.job.folder.best();
            self.write_model(&path, &chosen)?;
        }
        if let Some(report) = self.report(chosen, others, best) {
            self.note(&report)?;
            observer.validation(&report);
        }
        Ok(())
    }

    /// Validates where a run stops in mid-epoch. A longer run would not: it must neither remember the result nor find these
    /// weights among its best. They are shipped when they are better than the best so far; returns whether they are.
    pub(super) fn validate_to_close(&mut self, observer: &mut dyn Observer) -> Result<bool> {
        if let Some(line) = mean_report(&self.progress.window) {
            self.note_closing(&line)?;
        }
        let (chosen, others) = self.candidates()?;
        let best = self.is_best(&chosen);
        if best {
            self.write_model(&self.job.folder.model(), &chosen)?;
        }
        if let Some(report) = self.report(chosen, others, best) {
            self.note_closing(&report)?;
            observer.validation(&report);
        }
        Ok(best)
    }

    /// Whether weights are better than all before; always without validation systems.
    fn is_best(&self, chosen: &Candidate) -> bool {
        match &chosen.judged {
            Some(judged) => judged.score.is_finite() && self.progress.best.is_none_or(|best| judged.score < best),
            None => true,
        }
    }

    /// Better of raw and averaged weights, and the others where both were validated.
    fn candidates(&self) -> Result<(Candidate, Option<Candidate>)> {
        let averaged = || self.candidate(Weights::Averaged, &self.average);
        let raw = || self.candidate(Weights::Raw, &self.values);
        let is_judged = !self.job.validation.systems().is_empty();
        match self.job.training.validated_weights {
            _ if self.job.training.ema_decay == 0.0 => Ok((raw()?, None)),
            ValidatedWeights::Raw => Ok((raw()?, None)),
            ValidatedWeights::Averaged => Ok((averaged()?, None)),
            ValidatedWeights::Both if !is_judged => Ok((averaged()?, None)),
            ValidatedWeights::Both => {
                let (averaged, raw) = (averaged()?, raw()?);
                let score = |c: &Candidate| c.judged.as_ref().map_or(f64::NAN, |judged| judged.score);
                // A score that is not a number is never better.
                let raw_is_better = score(&raw) < score(&averaged) || !score(&averaged).is_finite();
                Ok(if raw_is_better { (raw, Some(averaged)) } else { (averaged, Some(raw)) })
            }
        }
    }

    fn candidate(&self, weights: Weights, values: &[T]) -> Result<Candidate> {
        let student = parameters::with_vector(self.student.clone(), values, &self.device);
        if self.job.validation.systems().is_empty() {
            return Ok(Candidate { weights, student, judged: None });
        }
        let (loss, metrics) = self.metrics(&student)?;
        let score = match self.job.training.best_by {
            BestBy::Loss => loss,
            BestBy::EnergyMae => metrics.energy_mae.unwrap_or(loss),
            BestBy::ForcesMae => metrics.forces_mae.unwrap_or(loss),
        };
        Ok(Candidate { weights, student, judged: Some(Judged { loss, metrics, score }) })
    }

    /// Writes a model file that says when its weights were made, which they are, and how good.
    fn write_model(&self, path: &std::path::Path, chosen: &Candidate) -> Result<()> {
        if !self.job.folder.writes() {
            return Ok(());
        }
        let mut header = self.job.header.clone();
        if let Some(training) = header.training.as_object_mut() {
            training.insert("step".to_owned(), self.progress.step.into());
            training.insert("weights".to_owned(), serde_json::json!(chosen.weights));
            if let Some(judged) = &chosen.judged {
                training.insert("validation_loss".to_owned(), serde_json::json!(judged.loss));
                training.insert("validation".to_owned(), serde_json::json!(judged.metrics));
            }
        }
        checkpoint::save(path, &header, &chosen.student.network, T::dtype())
    }

    fn report(&self, chosen: Candidate, other: Option<Candidate>, best: bool) -> Option<ValidationReport> {
        let judged = chosen.judged?;
        let other = other.and_then(|other| {
            let judged = other.judged?;
            Some(OtherWeights { weights: other.weights, validation_loss: judged.loss, validation: judged.metrics })
        });
        Some(ValidationReport {
            step: self.progress.step,
            epoch: self.progress.epoch,
            weights: chosen.weights,
            validation_loss: judged.loss,
            validation: judged.metrics,
            other,
            best,
            seconds: self.seconds(),
        })
    }

    /// Loss without distillation terms and metrics in eV and Å on the validation systems.
    fn metrics(&self, student: &Student) -> Result<(f64, Metrics)> {
        let validation = self.job.validation;
        let context = self.context(validation);
        let systems = validation.systems();
        // Neither loss is divided by atoms or edges.
        let counts = Counts {
            systems: systems.len() as f64,
            free: validation.n_free() as f64,
            virials: validation.n_virials() as f64,
            ..Counts::default()
        };
        let network = student.network.clone().no_grad();
        let model = Model::new(self.job.header.clone(), network, &self.device, T::dtype(), String::new())?;
        let part = |range: &Range<usize>| -> Result<([f64; 1], Evaluator)> {
            let indices: Vec<usize> = range.clone().collect();
            let members = validation.members(&indices)?;
            let shard = Shard::new(indices, &members);
            let batch = context.batch::<T>(&shard, &self.device)?;
            let output = student.network.forward(&batch, context.forces, &[]);
            let losses = context.label_losses(&output, &batch, &shard, &counts);
            let loss: f64 = losses.iter().map(|(_, loss)| to_host(loss)[0]).sum();
            let mut evaluator = Evaluator::new();
            let prediction = model.to_prediction(&shard.systems(), &output)?;
            evaluator.update_batch(&shard.systems(), &prediction).map_err(|e| e.shifted(range.start))?;
            Ok(([loss], evaluator))
        };
        let (atoms, at_a_time) = match is_cpu(&self.device) {
            true => (ATOMS_PER_BATCH, BATCHES_PER_THREAD * rayon::current_num_threads()),
            false => (GPU_BATCHES * ATOMS_PER_BATCH, 1),
        };
        let batches = systems.batches(atoms);
        let own = self.job.ranks.block(self.job.ranks.rank(), batches.len());
        let mut parts = Vec::with_capacity(own.len());
        for round in batches[own].chunks(at_a_time) {
            parts.extend(round.par_iter().map(part).collect::<Result<Vec<_>>>()?);
        }
        let ([loss], evaluator) = joined(self.job.ranks, &parts)?;
        Ok((loss, evaluator.finish()))
    }
}
