//! The loop: epochs, steps, validation, checkpoints.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use potstill_core::dataset::Sampler;
use potstill_core::metrics::{Evaluator, Metrics};
use potstill_core::{Error, Prediction, Result, System};
use potstill_nn::batch::to_host;
use potstill_nn::checkpoint::{self, Header};
use potstill_nn::model::Model;
use potstill_nn::parameters;
use rayon::prelude::*;

use crate::config::{BestBy, TrainingConfig};
use crate::distill::Weight;
use crate::distill::terms::{Counts, Student, Terms};
use crate::journal::Journal;
use crate::observer::{Ending, Observer, StepReport, ValidationReport};
use crate::optimizer::{AdamW, clip_global_norm, update_average};
use crate::prepared::{Member, Shard, Split};
use crate::real::Real;
use crate::schedule::Schedule;
use crate::state::{self, Progress, Vectors};
use crate::step::{Losses, Part, StepContext};

/// Steps whose mean makes one line of `metrics.jsonl`.
const STEPS_PER_LINE: u64 = 50;
/// Atoms of one forward pass in validation.
const ATOMS_PER_BATCH: usize = 400;
/// Forward passes of each thread in validation before their results are taken in.
const BATCHES_PER_THREAD: usize = 8;

/// A run in its folder.
pub struct Trainer<'a, T> {
    /// Losses, weights, lengths.
    pub training: &'a TrainingConfig,
    /// Header of the model that is shipped.
    pub header: &'a Header,
    /// Systems to learn from.
    pub train: &'a Split,
    /// Systems that choose the best weights; may be empty.
    pub validation: &'a Split,
    /// Distillation terms, if any.
    pub terms: Option<&'a Terms>,
    /// Where checkpoints and metrics go.
    pub folder: &'a Path,
    /// Set by whoever wants the run to stop and save.
    pub interrupt: &'a AtomicBool,
    student: Student,
    seed: u64,
    divisors: Vec<(Range<usize>, f64)>,
    /// Weights of the terms at the full height of their schedules.
    weights: Vec<f64>,
    device: Device,
    sampler: Sampler,
    schedule: Schedule,
    optimizer: AdamW<T>,
    values: Vec<T>,
    average: Vec<T>,
    progress: Progress,
    window: Vec<StepReport>,
    started: Instant,
    seconds_before: f64,
    journal: Journal,
}

/// Result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Why it ended.
    pub ending: Ending,
    /// Steps done.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The model with the best validation, or the last one without validation systems.
    pub model: PathBuf,
}

impl<'a, T: Real> Trainer<'a, T> {
    /// A run at its start, or, with `resume`, where its last checkpoint left it.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn new(
        training: &'a TrainingConfig,
        header: &'a Header,
        (train, validation): (&'a Split, &'a Split),
        terms: Option<&'a Terms>,
        folder: &'a Path,
        interrupt: &'a AtomicBool,
        seed: u64,
        fingerprint: String,
        resume: bool,
    ) -> Result<Self> {
        let device = Device::flex();
        let projections = terms.map(|t| t.projections(&header.model, seed, &device, T::DTYPE)).unwrap_or_default();
        let student = Student { network: header.model.init(seed, &device, T::DTYPE), projections };
        let infos = parameters::describe(&student);
        let values: Vec<T> = parameters::to_vector(&student);
        let segments = infos.iter().map(|i| (i.range(), training.optimizer.decays(&i.name))).collect();
        let divided = header.model.gradient_divisors();
        let divisor = |name: &str| divided.iter().find(|(n, _)| name.strip_prefix("network.") == Some(*n));
        let divisors = infos.iter().filter_map(|i| Some((i.range(), divisor(&i.name)?.1 as f64))).collect();
        let atom_counts = train.systems().atom_counts();
        let order = match training.similar_sizes {
            true => potstill_core::dataset::Order::Bucketed,
            false => potstill_core::dataset::Order::Shuffled,
        };
        let batch_size = potstill_core::dataset::BatchSize::Systems(training.batch_size);
        let mut sampler = Sampler::new(atom_counts, batch_size, order, seed)?;
        if let Some((first, mix)) = train.synthetic() {
            sampler = sampler.with_extra(first, mix.synthetic);
        }
        let mut trainer = Self {
            training,
            header,
            train,
            validation,
            terms,
            folder,
            interrupt,
            seed,
            divisors,
            weights: Vec::new(),
            device,
            sampler,
            schedule: Schedule::new(training.schedule.clone(), training.learning_rate, 0),
            optimizer: AdamW::new(training.optimizer.clone(), segments),
            average: values.clone(),
            values,
            student,
            progress: Progress::new(
                fingerprint,
                Schedule::new(training.schedule.clone(), training.learning_rate, 0).plateau,
            ),
            window: Vec::new(),
            started: Instant::now(),
            seconds_before: 0.0,
            journal: Journal::new(folder, terms.map(Terms::names).unwrap_or_default()),
        };
        trainer.schedule = Schedule::new(training.schedule.clone(), training.learning_rate, trainer.total_steps());
        // With the fresh weights also when the run goes on, so that both parts find the same.
        if let Some(terms) = terms {
            trainer.weights = trainer.settle_weights(terms)?;
        }
        if resume {
            trainer.restore()?;
        }
        Ok(trainer)
    }

    /// Names of the distillation terms with their weights, those that had to be found among them.
    pub fn weights(&self) -> Vec<(String, f64)> {
        let names = self.terms.map(Terms::names).unwrap_or_default();
        names.iter().cloned().zip(self.weights.iter().copied()).collect()
    }

    /// Fixed weights as they are; the others by the norms of gradients with respect to the network on the first batch.
    fn settle_weights(&self, terms: &Terms) -> Result<Vec<f64>> {
        let is_auto = |w: &Weight| matches!(w, Weight::Auto(_));
        if !terms.weights().iter().any(is_auto) {
            return Ok(terms.weights().iter().map(|w| w.number()).collect());
        }
        let first = self.sampler.epoch(0);
        let Some(batch) = first.first() else { return Ok(vec![0.0; terms.weights().len()]) };
        let n_network = parameters::describe(&self.student.network).iter().map(|i| i.range().end).max().unwrap_or(0);
        let context = StepContext { term_weights: vec![1.0; terms.weights().len()], ..self.context(self.train) };
        let norm = |part: Part| -> Result<f64> {
            let (_, gradient) = context.gradient_of(part, &self.values, batch)?;
            Ok(gradient[..n_network].iter().map(|g| g.to_f64().powi(2)).sum::<f64>().sqrt())
        };
        let main = norm(if self.training.force_weight > 0.0 { Part::Forces } else { Part::Energy })?;
        let settle = |(term, weight): (usize, &Weight)| -> Result<f64> {
            let Weight::Auto(times) = weight else { return Ok(weight.number()) };
            let own = norm(Part::Term(term))?;
            // A term without a gradient at the start, or a teacher that agrees: nothing to compare with.
            Ok(if own > 0.0 && main > 0.0 { times * main / own } else { *times })
        };
        terms.weights().iter().enumerate().map(settle).collect()
    }

    /// Weights of the terms in the next step.
    fn term_weights(&self) -> Vec<f64> {
        let Some(terms) = self.terms else { return Vec::new() };
        let done = self.time_done().unwrap_or(self.progress.step as f64 / self.total_steps().max(1) as f64);
        self.weights.iter().zip(terms.schedule_factors(done)).map(|(weight, factor)| weight * factor).collect()
    }

    /// Steps of the whole run, as far as epochs and `max_steps` tell.
    pub fn total_steps(&self) -> u64 {
        let per_epoch = self.sampler.n_systems().div_ceil(self.training.batch_size) as u64;
        let all = per_epoch.saturating_mul(self.training.epochs);
        self.training.max_steps.map_or(all, |limit| limit.min(all))
    }

    /// Current weights of network and projections, in the order of their fields.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Running average of the weights.
    pub fn average(&self) -> &[T] {
        &self.average
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// A loss that is not finite (names step and batch), and what the file system says. The last checkpoint stays.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Summary> {
        self.started = Instant::now();
        self.journal.start(self.progress.step, self.progress.seconds)?;
        observer.start(self.total_steps(), self.progress.step);
        let ending = self.epochs(observer)?;
        self.flush_window()?;
        if ending != Ending::Interrupted && self.best_path().exists() {
            std::fs::copy(self.best_path(), self.model_path())
                .map_err(|e| Error::io(self.model_path(), "cannot write", e))?;
        }
        Ok(Summary { ending, steps: self.progress.step, seconds: self.progress.seconds, model: self.model_path() })
    }

    fn epochs(&mut self, observer: &mut dyn Observer) -> Result<Ending> {
        while self.progress.epoch < self.training.epochs {
            let batches = self.sampler.epoch(self.progress.epoch);
            while let Some(batch) = batches.get(self.progress.batch) {
                if let Some(ending) = self.must_end() {
                    // Saved first: a longer run would not have validated here, and must not remember it when it goes on.
                    self.save()?;
                    if ending != Ending::Interrupted && !self.just_validated() {
                        self.validate(observer)?;
                    }
                    return Ok(ending);
                }
                let report = self.step(batch)?;
                observer.step(&report);
                self.record(report)?;
                if self.training.checkpoint_steps.is_some_and(|n| n > 0 && self.progress.step.is_multiple_of(n)) {
                    self.save()?;
                }
            }
            self.progress.epoch += 1;
            self.progress.batch = 0;
            let last = self.progress.epoch == self.training.epochs;
            if last || self.progress.epoch.is_multiple_of(self.training.validate_every) {
                self.validate(observer)?;
                self.save()?;
                if self.training.patience.is_some_and(|patience| self.progress.waited > patience) {
                    return Ok(Ending::NoProgress);
                }
            }
        }
        Ok(Ending::Finished)
    }

    /// Whether the step before was the last one of an epoch that ends with a validation.
    fn just_validated(&self) -> bool {
        let epoch = self.progress.epoch;
        self.progress.batch == 0 && epoch > 0 && epoch.is_multiple_of(self.training.validate_every)
    }

    fn must_end(&self) -> Option<Ending> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Some(Ending::Interrupted);
        }
        if self.training.max_steps.is_some_and(|limit| self.progress.step >= limit) {
            return Some(Ending::Finished);
        }
        self.time_done().is_some_and(|done| done >= 1.0).then_some(Ending::OutOfTime)
    }

    /// Part of the run's time that is over, when time limits it.
    fn time_done(&self) -> Option<f64> {
        self.training.max_minutes.map(|minutes| self.seconds() / (60.0 * minutes))
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn context(&self, split: &'a Split) -> StepContext<'_> {
        StepContext {
            template: &self.student,
            forces: self.header.model.forces(),
            split,
            seed: self.seed,
            step: self.progress.step,
            divisors: &self.divisors,
            terms: self.terms,
            term_weights: self.term_weights(),
            training: self.training,
            bytes_per_edge: self.header.model.training_bytes_per_edge() * size_of::<T>() / size_of::<f32>(),
            device: &self.device,
        }
    }

    /// One optimisation step on the systems `batch`.
    ///
    /// # Errors
    /// A loss or gradient that is not finite.
    pub fn step(&mut self, batch: &[usize]) -> Result<StepReport> {
        let learning_rate = self.schedule.learning_rate(self.progress.step, self.time_done());
        let (losses, mut gradient) = self.context(self.train).gradient(&self.values, batch)?;
        let gradient_norm = clip_global_norm(&mut gradient, self.training.clip_norm);
        if !(losses.total().is_finite() && gradient_norm.is_finite()) {
            return Err(self.not_finite(batch, &losses, gradient_norm)?);
        }
        self.optimizer.step(&mut self.values, &gradient, learning_rate);
        update_average(&mut self.average, &self.values, self.training.ema_decay);
        self.progress.step += 1;
        self.progress.batch += 1;
        self.progress.seconds = self.seconds();
        Ok(StepReport {
            step: self.progress.step,
            epoch: self.progress.epoch,
            learning_rate,
            loss: losses.total(),
            energy_loss: losses.energy,
            force_loss: losses.forces,
            distill_losses: losses.terms,
            gradient_norm,
            n_rejected: losses.n_rejected,
            n_systems: batch.len(),
            seconds: self.progress.seconds,
        })
    }

    fn not_finite(&self, batch: &[usize], losses: &Losses, gradient_norm: f64) -> Result<Error> {
        let members = self.train.members(batch)?;
        let members: Vec<&str> = members.iter().map(|m| m.prepared.label.as_str()).collect();
        let kept = match self.state_path().exists() {
            true => format!("the last good checkpoint is {}", self.state_path().display()),
            false => "there was no checkpoint yet".to_owned(),
        };
        Ok(Error::Other(format!(
            "step {}: loss {} (energy {}, forces {}), gradient norm {gradient_norm}; batch of systems {}; {kept}; lower \
             training.learning_rate or look at these systems",
            self.progress.step + 1,
            losses.total(),
            losses.energy,
            losses.forces,
            members.join(", ")
        )))
    }

    fn validate(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.flush_window()?;
        let weights = if self.training.ema_decay > 0.0 { &self.average } else { &self.values };
        let student = parameters::with_vector(self.student.clone(), weights, &self.device);
        let (best, report) = if self.validation.systems().is_empty() {
            (true, None)
        } else {
            let (loss, metrics) = self.metrics(&student)?;
            let score = match self.training.best_by {
                BestBy::Loss => loss,
                BestBy::EnergyMae => metrics.energy_mae.unwrap_or(loss),
                BestBy::ForcesMae => metrics.forces_mae.unwrap_or(loss),
            };
            let best = score.is_finite() && self.progress.best.is_none_or(|b| score < b);
            self.progress.waited = if best { 0 } else { self.progress.waited + 1 };
            self.progress.best = if best { Some(score) } else { self.progress.best };
            self.schedule.observe(loss);
            self.progress.plateau = self.schedule.plateau;
            (best, Some((loss, metrics)))
        };
        let mut header = self.header.clone();
        if let (true, Some(training)) = (best, header.training.as_object_mut()) {
            training.insert("step".to_owned(), self.progress.step.into());
            if let Some((loss, metrics)) = &report {
                training.insert("validation_loss".to_owned(), serde_json::json!(loss));
                training.insert("validation".to_owned(), serde_json::json!(metrics));
            }
        }
        if best {
            checkpoint::save(&self.best_path(), &header, &student.network, T::DTYPE)?;
        }
        if let Some((validation_loss, validation)) = report {
            let report = ValidationReport {
                step: self.progress.step,
                epoch: self.progress.epoch,
                validation_loss,
                validation,
                best,
                seconds: self.seconds(),
            };
            self.journal.write(&report)?;
            observer.validation(&report);
        }
        Ok(())
    }

    /// Loss without distillation terms and metrics in eV and Å on the validation systems.
    fn metrics(&self, student: &Student) -> Result<(f64, Metrics)> {
        let context = self.context(self.validation);
        let systems = self.validation.systems();
        let n_free = self.validation.n_free() as f64;
        // Neither loss is divided by atoms or edges.
        let counts = Counts { systems: systems.len() as f64, free: n_free, atoms: 0.0, edges: 0.0 };
        let network = student.network.clone().no_grad();
        let model = Model::new(self.header.clone(), network, &self.device, T::DTYPE, String::new())?;
        let part = |batch: &Range<usize>| -> Result<_> {
            let indices: Vec<usize> = batch.clone().collect();
            let members = self.validation.members(&indices)?;
            let shard = Shard::new(indices, &members);
            let batch = context.batch::<T>(&shard, &self.device)?;
            let (output, losses) = context.main_losses(student, &batch, &shard, &counts, &[]);
            let loss: f64 = losses.iter().map(|l| to_host(l)[0]).sum();
            let prediction = model.to_prediction(&shard.systems(), &output)?;
            Ok((loss, prediction, members))
        };
        let mut evaluator = Evaluator::new();
        let mut loss = 0.0;
        for round in systems.batches(ATOMS_PER_BATCH).chunks(BATCHES_PER_THREAD * rayon::current_num_threads()) {
            let parts: Vec<(f64, Prediction, Vec<Member<'_>>)> = round.par_iter().map(part).collect::<Result<_>>()?;
            for (part, prediction, members) in &parts {
                loss += part;
                let systems: Vec<&System> = members.iter().map(|m| m.system.as_ref()).collect();
                evaluator.update_batch(&systems, prediction)?;
            }
        }
        Ok((loss, evaluator.finish()))
    }

    fn record(&mut self, report: StepReport) -> Result<()> {
        let flush = report.step.is_multiple_of(STEPS_PER_LINE);
        self.window.push(report);
        if flush { self.flush_window() } else { Ok(()) }
    }

    /// Writes the mean of the steps since the last line.
    fn flush_window(&mut self) -> Result<()> {
        let window = std::mem::take(&mut self.window);
        let Some(last) = window.last() else { return Ok(()) };
        let n = window.len() as f64;
        let mean = |f: &dyn Fn(&StepReport) -> f64| window.iter().map(f).sum::<f64>() / n;
        let line = StepReport {
            loss: mean(&|r| r.loss),
            energy_loss: mean(&|r| r.energy_loss),
            force_loss: mean(&|r| r.force_loss),
            distill_losses: (0..last.distill_losses.len()).map(|k| mean(&|r| r.distill_losses[k])).collect(),
            gradient_norm: mean(&|r| r.gradient_norm),
            n_rejected: window.iter().map(|r| r.n_rejected).sum(),
            ..last.clone()
        };
        self.journal.write(&line)
    }

    fn save(&self) -> Result<()> {
        let vectors = Vectors {
            values: self.values.clone(),
            average: self.average.clone(),
            first: self.optimizer.first.clone(),
            second: self.optimizer.second.clone(),
            largest: self.optimizer.largest.clone(),
        };
        state::save(&self.state_path(), &self.progress, &vectors)
    }

    fn restore(&mut self) -> Result<()> {
        let (progress, vectors) = state::load::<T>(&self.state_path(), self.values.len())?;
        if progress.fingerprint != self.progress.fingerprint {
            let message = "was made with another configuration or dataset; only epochs, max_steps, max_minutes and \
                           patience may change; start again with --overwrite or another --out";
            return Err(Error::file(self.state_path(), message));
        }
        self.values = vectors.values;
        self.average = vectors.average;
        self.optimizer.first = vectors.first;
        self.optimizer.second = vectors.second;
        self.optimizer.largest = vectors.largest;
        self.optimizer.steps = progress.step;
        self.schedule.plateau = progress.plateau;
        self.seconds_before = progress.seconds;
        self.progress = progress;
        Ok(())
    }

    fn state_path(&self) -> PathBuf {
        self.folder.join("checkpoints/last.safetensors")
    }

    fn best_path(&self) -> PathBuf {
        self.folder.join("checkpoints/best.safetensors")
    }

    fn model_path(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }
}
