//! The loop: epochs, steps, validation, checkpoints.

mod agreement;
mod checkpoints;
mod job;
mod steps;
mod term_weights;
mod validation;

use std::ops::Range;
use std::time::Instant;

use burn::tensor::Device;
use potstill_core::Result;
use potstill_data::dataset::{BatchSize, Order, Sampler};
use potstill_nn::networks::gradient_divisors;
use potstill_nn::{Network, checkpoint, parameters};
use serde::Serialize;

use self::steps::mean_report;
use crate::config::TrainingConfig;
use crate::distill::terms::Terms;
use crate::distill::{Student, TermWeights};
use crate::journal::Journal;
use crate::observer::{Ending, Observer, StepReport};
use crate::optimizer::Optimizer;
use crate::schedule::Schedule;
use crate::state::Progress;
use burn::tensor::Element;
use potstill_nn::Number;

pub use job::{Job, Summary};

/// Steps whose mean makes one line of `metrics.jsonl`.
const STEPS_PER_LINE: u64 = 50;

/// A run in its folder.
pub struct Trainer<'a, T> {
    job: Job<'a>,
    student: Student,
    divisors: Vec<(Range<usize>, f64)>,
    /// Weights of the terms at the full height of their schedules.
    weights: TermWeights,
    device: Device,
    sampler: Sampler,
    schedule: Schedule,
    optimizer: Optimizer<T>,
    values: Vec<T>,
    average: Vec<T>,
    progress: Progress,
    started: Instant,
    seconds_before: f64,
    /// Time at which the state was last saved.
    saved: Instant,
    /// Lines of the run; none at a process that writes nothing.
    journal: Option<Journal>,
    /// Shards of a batch, whatever the numbers of processes and threads; none for as many as threads.
    n_shards: Option<usize>,
    /// Part of the run's time that was over when the step began, when time limits it; the same at all processes.
    time_done: Option<f64>,
}

impl<'a, T: Number + Element> Trainer<'a, T> {
    /// A run at its start, or, in a folder that is resumed, where its last checkpoint left it.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn new(job: Job<'a>) -> Result<Self> {
        let (training, header, terms) = (job.training, job.header, job.terms);
        let device = job.device.clone();
        let projections =
            terms.map(|t| t.projections(&header.model, job.seed, &device, T::dtype())).unwrap_or_default();
        let network = match job.start {
            Some(file) => checkpoint::network(file, &device, T::dtype())?,
            None => Network::init(&header.model, job.seed, &device, T::dtype()),
        };
        let student = Student { network, projections };
        let infos = parameters::describe(&student);
        let values: Vec<T> = parameters::to_vector(&student);
        let divided = gradient_divisors(&header.model);
        let divisor = |name: &str| divided.iter().find(|(n, _)| name.strip_prefix("network.") == Some(*n));
        let divisors = infos.iter().filter_map(|i| Some((i.range(), divisor(&i.name)?.1 as f64))).collect();
        let sampler = sampler(&job)?;
        let schedule = Schedule::new(
            training.schedule.clone(),
            training.learning_rate,
            total_steps(training, sampler.n_systems()),
        );
        let mut trainer = Self {
            divisors,
            weights: TermWeights::default(),
            device,
            sampler,
            optimizer: Optimizer::new(training.optimizer.clone(), &infos),
            average: values.clone(),
            values,
            student,
            progress: Progress::new(job.identity.clone(), schedule.plateau),
            schedule,
            started: Instant::now(),
            seconds_before: 0.0,
            saved: Instant::now(),
            journal: job
                .folder
                .writes()
                .then(|| Journal::new(job.folder.path(), &terms.map(Terms::names).unwrap_or_default())),
            n_shards: agreement::shards(job.ranks, training.shards),
            time_done: None,
            job,
        };
        // With the fresh weights also when the run goes on, so that both parts find the same.
        if let Some(terms) = terms {
            trainer.weights = trainer.settle_weights(terms)?;
        }
        if trainer.job.folder.resumes() {
            trainer.restore()?;
        }
        Ok(trainer)
    }

    /// Steps of the whole run, as far as epochs and `max_steps` tell.
    pub fn total_steps(&self) -> u64 {
        total_steps(self.job.training, self.sampler.n_systems())
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
        self.saved = Instant::now();
        if !self.job.folder.replaces() {
            self.enter_folder()?;
        }
        observer.start(self.total_steps(), self.progress.step);
        let ending = self.epochs(observer)?;
        self.close(ending, observer)?;
        let model = self.job.folder.model();
        Ok(Summary { ending, steps: self.progress.step, seconds: self.progress.seconds, model, baseline: None })
    }

    fn epochs(&mut self, observer: &mut dyn Observer) -> Result<Ending> {
        while self.progress.epoch < self.job.training.epochs {
            let batches = self.sampler.epoch(self.progress.epoch);
            while let Some(batch) = batches.get(self.progress.batch) {
                if let Some(ending) = self.agreed_ending() {
                    return Ok(ending);
                }
                let report = self.step(batch)?;
                self.after_step(report, observer)?;
            }
            self.progress.epoch += 1;
            self.progress.batch = 0;
            if self.progress.epoch.is_multiple_of(self.job.training.validate_every) {
                self.validate(observer)?;
                self.save()?;
                if self.job.training.patience.is_some_and(|patience| self.progress.waited > patience) {
                    return Ok(Ending::NoProgress);
                }
            }
        }
        Ok(Ending::Finished)
    }

    /// Reports a step, and saves the state where it is time to.
    fn after_step(&mut self, report: StepReport, observer: &mut dyn Observer) -> Result<()> {
        observer.step(&report);
        let step = report.step;
        self.progress.window.push(report);
        if !self.job.folder.is_entered() {
            self.enter_folder()?;
        }
        if step.is_multiple_of(STEPS_PER_LINE) {
            self.flush_window()?;
        }
        let minutes = self.job.training.checkpoint_minutes;
        let is_time = minutes > 0.0 && self.saved.elapsed().as_secs_f64() >= 60.0 * minutes;
        let is_due = self.job.training.checkpoint_steps.is_some_and(|n| n > 0 && step.is_multiple_of(n));
        if is_time || is_due { self.save() } else { Ok(()) }
    }

    /// Whether the step before was the last one of an epoch that ends with a validation.
    fn just_validated(&self) -> bool {
        let epoch = self.progress.epoch;
        self.progress.batch == 0 && epoch > 0 && epoch.is_multiple_of(self.job.training.validate_every)
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// Writes a line, where this process writes.
    fn note(&self, line: &impl Serialize) -> Result<()> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.write(line))
    }

    /// Writes a line that a longer run would not have, where this process writes.
    fn note_closing(&self, line: &impl Serialize) -> Result<()> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.write_closing(line))
    }

    /// Writes the mean of the steps since the last line.
    fn flush_window(&mut self) -> Result<()> {
        match mean_report(&std::mem::take(&mut self.progress.window)) {
            Some(line) => self.note(&line),
            None => Ok(()),
        }
    }
}

/// Steps of all epochs with `n_systems` each, or `max_steps`.
fn total_steps(training: &TrainingConfig, n_systems: usize) -> u64 {
    let per_epoch = n_systems.div_ceil(training.batch_size) as u64;
    let all = per_epoch.saturating_mul(training.epochs);
    training.max_steps.map_or(all, |limit| limit.min(all))
}

/// Batches of each epoch.
fn sampler(job: &Job<'_>) -> Result<Sampler> {
    let order = match job.training.similar_sizes {
        true => Order::Bucketed,
        false => Order::Shuffled,
    };
    let batch_size = BatchSize::Systems(job.training.batch_size);
    let sampler = Sampler::new(job.train.systems().atom_counts(), batch_size, order, job.seed)?;
    Ok(match job.train.synthetic() {
        Some((first, mix)) => sampler.with_extra(first, mix.synthetic),
        None => sampler,
    })
}
