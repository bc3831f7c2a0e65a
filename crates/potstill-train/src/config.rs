//! Settings of a training run, as a TOML file holds them.

use std::path::PathBuf;

use potstill_core::model::Architecture;
use potstill_core::{Error, Precision, Result, limits};
use potstill_data::dataset::audit::Leaks;
use potstill_data::dataset::{Normalization, ReferenceEnergies};
use serde::{Deserialize, Serialize};

use crate::distill::DistillConfig;
use crate::loss::{EnergyLoss, ForceLoss};
use crate::mix::Mix;
use crate::optimizer::AdamWConfig;
use crate::schedule::ScheduleConfig;

/// Everything that `potstill train` and `potstill distill` need to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of initial weights and of the order of systems. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// Files and labels.
    pub data: DataConfig,
    /// The network, tagged by `architecture = "schnet" | "painn"`.
    pub model: Architecture,
    /// Optimisation.
    #[serde(default)]
    pub training: TrainingConfig,
    /// Teacher and strategies; only for `potstill distill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillConfig>,
}

/// Which systems to learn from, and what their labels are called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Files to train on; paths are relative to the configuration file.
    pub train: Vec<PathBuf>,
    /// Files that choose the best checkpoint and end training early; never trained on.
    #[serde(default)]
    pub validation: Vec<PathBuf>,
    /// Synthetic systems, such as `potstill data generate` makes, of which each epoch visits some. Reference energies and
    /// normalisation do not depend on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub synthetic: Vec<PathBuf>,
    /// How many synthetic systems, and how much they count: `{ synthetic = 0.2, weight = 1.0, labels = true }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// Use only the first that many training systems. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_train_systems: Option<usize>,
    /// Whether systems are read into memory and their graphs drawn once (`true`), or read and prepared at each step (`false`:
    /// plain `.extxyz`, `.npz` and LMDB only; memory does not grow with their number beyond an index). Results are the same.
    /// Default: in memory when they are estimated to take at most 4 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_memory: Option<bool>,
    /// Key of the energy. Default: the first of the usual names that the file has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_key: Option<String>,
    /// Name of the forces column. Default: the first of the usual names that the file has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forces_key: Option<String>,
    /// Per-element energies taken off the labels: `"none"`, `"isolated_atoms"`, `"least_squares"` or a table in eV.
    /// Default: `"least_squares"`.
    #[serde(default = "least_squares")]
    pub reference_energies: ReferenceEnergies,
    /// What is checked before the first step: `{ units = false, leaks = "allow" }`. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<ChecksConfig>,
    /// Shift and scale of the labels: `"none"`, `"energy"`, `"forces"` or a table. Default: `"forces"`.
    #[serde(default = "by_forces")]
    pub normalization: Normalization,
}

/// Checks of the data before the first step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksConfig {
    /// Whether systems whose units or force signs are not those of eV and Å are refused. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<bool>,
    /// What is done about validation and test systems that are training systems, too: `"allow"`, `"warn"` or `"refuse"`
    /// (which is about test systems only). Default: `"warn"` in training, `"refuse"` in studies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaks: Option<Leaks>,
}

fn least_squares() -> ReferenceEnergies {
    ReferenceEnergies::LeastSquares
}

fn by_forces() -> Normalization {
    Normalization::Forces
}

/// Largest learning rate, far above what any network survives, and a number in f32.
const LARGEST_RATE: f64 = 1e30;
/// Longest run in minutes: a century.
const MOST_MINUTES: f64 = 5e7;
/// Most memory for intermediate results in GiB.
const MOST_GIB: f64 = 1e6;

/// What decides which checkpoint is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    /// The training loss on validation systems, without distillation terms. The default.
    #[default]
    Loss,
    /// Energy MAE in eV.
    EnergyMae,
    /// Force MAE in eV/Å.
    ForcesMae,
}

/// Which weights are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidatedWeights {
    /// Raw and averaged ones; the better ones count. The default.
    #[default]
    Both,
    /// The averaged ones.
    Averaged,
    /// The raw ones.
    Raw,
}

/// Optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Systems per step. Default 8, for datasets of hundreds to a few thousand systems; tens of thousands train faster with 32.
    pub batch_size: usize,
    /// Batches hold systems of similar size, which wastes nothing and balances threads. Default false.
    pub similar_sizes: bool,
    /// Passes over the training systems. Default 100.
    pub epochs: u64,
    /// Steps after which training ends, whatever `epochs` says. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Minutes after which training ends, counted over all resumed parts. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
    /// Learning rate before the schedule. Default 1e-3.
    pub learning_rate: f64,
    /// How the learning rate changes. Default: constant.
    pub schedule: ScheduleConfig,
    /// AdamW.
    pub optimizer: AdamWConfig,
    /// Largest global gradient norm; longer gradients are shortened. Default 10; 0 switches it off.
    pub clip_norm: f64,
    /// Decay of the averaged weights. Default 0.999; 0 switches averaging off.
    pub ema_decay: f64,
    /// Whether the decay grows from 2/11 as `min(ema_decay, (1 + step) / (10 + step))`, so that short runs do not ship their
    /// initial weights. Default true; `false` is the reference's constant decay.
    pub ema_warmup: bool,
    /// Which weights are validated, the best of which are shipped: `"both"` (default; the better ones), `"averaged"`, as the
    /// reference does, or `"raw"`. Without validation systems, `"both"` ships the averaged ones.
    pub validated_weights: ValidatedWeights,
    /// Weight of the energy loss. Default 1.
    pub energy_weight: f64,
    /// Weight of the force loss. Default 100.
    pub force_weight: f64,
    /// Energy loss. Default mae.
    pub energy_loss: EnergyLoss,
    /// Force loss. Default l2mae.
    pub force_loss: ForceLoss,
    /// Epochs between two validations. Default 1.
    pub validate_every: u64,
    /// Minutes after which the training state is saved again, besides at each validation. Default 10; 0 switches it off.
    pub checkpoint_minutes: f64,
    /// Steps between two checkpoints of the training state, besides those at each validation. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_steps: Option<u64>,
    /// End after that many validations without a better one. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// What decides which checkpoint is the best: `"loss"` (default), `"energy_mae"` or `"forces_mae"`.
    pub best_by: BestBy,
    /// `"f32"` (default) or `"f64"`.
    #[serde(deserialize_with = "Precision::of_computation")]
    pub dtype: Precision,
    /// About how many GiB the intermediate results of a step may take. A batch that needs more passes through the network in
    /// parts whose gradients are added: the same step up to rounding, at the same speed. Default 4.
    pub activation_gib: f64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            batch_size: 8,
            similar_sizes: false,
            epochs: 100,
            max_steps: None,
            max_minutes: None,
            learning_rate: 1e-3,
            schedule: ScheduleConfig::default(),
            optimizer: AdamWConfig::default(),
            clip_norm: 10.0,
            ema_decay: 0.999,
            ema_warmup: true,
            validated_weights: ValidatedWeights::default(),
            energy_weight: 1.0,
            force_weight: 100.0,
            energy_loss: EnergyLoss::default(),
            force_loss: ForceLoss::default(),
            validate_every: 1,
            checkpoint_minutes: 10.0,
            checkpoint_steps: None,
            patience: None,
            best_by: BestBy::default(),
            dtype: Precision::F32,
            activation_gib: 4.0,
        }
    }
}

impl Config {
    /// Checks every number.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.training.validate()?;
        if self.data.train.is_empty() {
            return Err(Error::setting("data.train", "names no file; give at least one"));
        }
        if let Some(mix) = &self.data.mix {
            mix.validate()?;
            if self.data.synthetic.is_empty() {
                return Err(Error::setting("data.mix", "has nothing to mix in; name files in data.synthetic"));
            }
        }
        match &self.distill {
            Some(distill) => distill.validate(&self.model),
            None => Ok(()),
        }
    }
}

impl TrainingConfig {
    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("training.{name}");
        for (name, value) in [
            ("energy_weight", self.energy_weight),
            ("force_weight", self.force_weight),
            ("clip_norm", self.clip_norm),
            ("checkpoint_minutes", self.checkpoint_minutes),
        ] {
            if !(0.0..=limits::LARGEST_WEIGHT).contains(&value) {
                let message =
                    format!("is {value}; it must be zero or a positive number up to {:e}", limits::LARGEST_WEIGHT);
                return Err(Error::setting(key(name), message));
            }
        }
        if !(self.activation_gib > 0.0 && self.activation_gib <= MOST_GIB) {
            let message = format!("is {}; it must be positive and at most {MOST_GIB:e}", self.activation_gib);
            return Err(Error::setting(key("activation_gib"), message));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= LARGEST_RATE) {
            let message = format!("is {:e}; it must be positive, and at most {LARGEST_RATE:e}", self.learning_rate);
            return Err(Error::setting(key("learning_rate"), message));
        }
        if !(0.0..1.0).contains(&self.ema_decay) {
            return Err(Error::setting(key("ema_decay"), format!("is {}; it must be in [0, 1)", self.ema_decay)));
        }
        limits::SYSTEMS.check(&key("batch_size"), self.batch_size)?;
        let any = limits::STEPS.at_least(0);
        for (name, value, bound) in [
            ("epochs", Some(self.epochs), limits::STEPS),
            ("validate_every", Some(self.validate_every), limits::STEPS),
            ("max_steps", self.max_steps, any),
            ("checkpoint_steps", self.checkpoint_steps, any),
            ("patience", self.patience, any),
        ] {
            value.map_or(Ok(()), |value| bound.check_count(&key(name), value))?;
        }
        if let Some(minutes) = self.max_minutes.filter(|m| !(*m > 0.0 && *m <= MOST_MINUTES)) {
            return Err(Error::setting(
                key("max_minutes"),
                format!("is {minutes}; it must lie between 0 and {MOST_MINUTES:e}"),
            ));
        }
        self.optimizer.validate()?;
        self.schedule.validate()
    }
}
