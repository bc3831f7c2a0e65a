//! Inputs and result of a run.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use potstill_core::metrics::Metrics;
use potstill_core::model::{Header, ModelFile};
use potstill_core::ranks::Ranks;

use crate::config::TrainingConfig;
use crate::distill::terms::Terms;
use crate::folder::RunFolder;
use crate::observer::Ending;
use crate::prepared::Split;
use crate::state::Identity;

/// Inputs of a run.
pub struct Job<'a> {
    /// Device that computes, without differentiation.
    pub device: &'a Device,
    /// Processes that train together.
    pub ranks: &'a dyn Ranks,
    /// Losses, weights, lengths.
    pub training: &'a TrainingConfig,
    /// Header of the model that is shipped.
    pub header: &'a Header,
    /// Model whose weights the run starts from; none for random ones.
    pub start: Option<&'a ModelFile>,
    /// Systems to learn from.
    pub train: &'a Split,
    /// Systems that choose the best weights; may be empty.
    pub validation: &'a Split,
    /// Distillation terms, if any.
    pub terms: Option<&'a Terms>,
    /// Folder for checkpoints and metrics.
    pub folder: &'a RunFolder,
    /// Documents that the folder gets with the first step: names and contents.
    pub documents: Vec<(&'static str, String)>,
    /// Flag that ends the run after the next step, saved.
    pub interrupt: &'a AtomicBool,
    /// Seed of initial weights and of the order of systems.
    pub seed: u64,
    /// Hashes of what must stay the same when the run is resumed.
    pub identity: Identity,
}

/// Result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Reason for which it ended.
    pub ending: Ending,
    /// Steps done.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The model with the best validation, or the last one without validation systems.
    pub model: PathBuf,
    /// Errors of a constant predictor on the validation systems, which any model must beat; absent without them.
    pub baseline: Option<Metrics>,
}
