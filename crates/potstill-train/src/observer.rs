//! Reports of a run to an observer. Libraries do not print.

use potstill_core::metrics::Metrics;
use serde::{Deserialize, Serialize};

/// One optimisation step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Steps done, counted from 1.
    pub step: u64,
    /// Epoch, counted from 0.
    pub epoch: u64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Loss with all terms, in normalised units.
    pub loss: f64,
    /// Weighted energy loss.
    pub energy_loss: f64,
    /// Weighted force loss.
    pub force_loss: f64,
    /// Weighted stress loss, where stresses are trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stress_loss: Option<f64>,
    /// Weighted distillation terms, in the order of the configuration.
    pub distill_losses: Vec<f64>,
    /// Gradient norm before clipping.
    pub gradient_norm: f64,
    /// Copies that were thrown away, in this step or since the last line.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_rejected: usize,
    /// Systems in the batch.
    #[serde(skip)]
    pub n_systems: usize,
    /// Seconds since the start, over all resumed parts.
    pub seconds: f64,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Kind of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Exponential moving average of the weights after each step.
    Averaged,
    /// Weights after the last step.
    Raw,
}

/// Validation of the weights that were not chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OtherWeights {
    /// Kind of these weights.
    pub weights: Weights,
    /// Training loss without distillation terms.
    pub validation_loss: f64,
    /// Metrics in eV and Å.
    pub validation: Metrics,
}

/// Metrics of the better weights on the validation systems.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationReport {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Kind of the better weights.
    pub weights: Weights,
    /// The training loss without distillation terms.
    pub validation_loss: f64,
    /// Metrics of the better weights in eV and Å.
    pub validation: Metrics,
    /// Validation of the other weights, where both were validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherWeights>,
    /// Whether this is the best so far.
    pub best: bool,
    /// Seconds since the start, over all resumed parts.
    pub seconds: f64,
}

/// Reason for which a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All epochs or steps are done.
    Finished,
    /// The time that was given is over.
    OutOfTime,
    /// No better validation for as long as the configuration allows.
    NoProgress,
    /// The user interrupted; the state is saved.
    Interrupted,
}

/// Receiver of the reports of a run.
pub trait Observer {
    /// The size of the run, once known: steps of all epochs.
    fn start(&mut self, total_steps: u64, resumed_at: u64) {
        let _ = (total_steps, resumed_at);
    }
    /// After each step.
    fn step(&mut self, report: &StepReport) {
        let _ = report;
    }
    /// After each validation.
    fn validation(&mut self, report: &ValidationReport) {
        let _ = report;
    }
}

/// Observer that ignores every report.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
