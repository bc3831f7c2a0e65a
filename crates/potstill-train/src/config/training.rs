//! The `[training]` section.

use std::path::PathBuf;

use potstill_core::{Error, Precision, Result, limits};
use serde::{Deserialize, Serialize};

use crate::loss::{EnergyLoss, ForceLoss, LabelLosses};
use crate::optimizer::OptimizerConfig;
use crate::schedule::ScheduleConfig;

/// Largest learning rate, far above what any network survives, and a number in f32.
const LARGEST_RATE: f64 = 1e30;
/// Longest run in minutes, a century.
const MOST_MINUTES: f64 = 5e7;
/// Most memory for intermediate results in GiB.
const MOST_GIB: f64 = 1e6;

/// Number that decides which checkpoint is the best one.
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

/// Weights that are validated.
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
    /// Change of the learning rate. Default: constant.
    pub schedule: ScheduleConfig,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// Largest global gradient norm; longer gradients are shortened. Default 10; 0 switches it off.
    pub clip_norm: f64,
    /// Decay of the averaged weights. Default 0.999; 0 switches averaging off.
    pub ema_decay: f64,
    /// Whether the decay grows from 2/11 as `min(ema_decay, (1 + step) / (10 + step))`, so that short runs do not ship their
    /// initial weights. Default true; `false` is the reference's constant decay.
    pub ema_warmup: bool,
    /// Weights that are validated, the best of which are shipped: `"both"` (default; the better ones), `"averaged"`, as the
    /// reference does, or `"raw"`. Without validation systems, `"both"` ships the averaged ones.
    pub validated_weights: ValidatedWeights,
    /// Weight of the energy loss. Default 1.
    pub energy_weight: f64,
    /// Weight of the force loss. Default 100.
    pub force_weight: f64,
    /// Weight of the stress loss, which compares virials per atom, normalised like energies; for models with gradient forces.
    /// Default 0, which switches it off. Systems without a cell have no stress and are left out of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub stress_weight: f64,
    /// Stress loss, summed over the nine components. Default mae.
    #[serde(skip_serializing_if = "is_default")]
    pub stress_loss: EnergyLoss,
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
    /// Number that decides which checkpoint is the best: `"loss"` (default), `"energy_mae"` or `"forces_mae"`.
    pub best_by: BestBy,
    /// Model file whose weights the training starts from, in place of random ones. The network must be the same; reference
    /// energies, normalisation and elements are those of the file. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_from: Option<PathBuf>,
    /// `"f32"` (default) or `"f64"`.
    #[serde(deserialize_with = "Precision::of_computation")]
    pub dtype: Precision,
    /// Shards that a batch is cut into, at most, whose gradients are added in a fixed order: a run then has the same bits for any
    /// number of processes (`mpirun`) and threads, of which as many as shards help. Default: as many as threads of all processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// Memory for the intermediate results of a step in GiB, about. A batch that needs more passes through the network in
    /// parts whose gradients are added: the same step up to rounding, at the same speed. Default 4.
    pub activation_gib: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

fn is_default(loss: &EnergyLoss) -> bool {
    *loss == EnergyLoss::default()
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
            optimizer: OptimizerConfig::default(),
            clip_norm: 10.0,
            ema_decay: 0.999,
            ema_warmup: true,
            validated_weights: ValidatedWeights::default(),
            energy_weight: 1.0,
            force_weight: 100.0,
            stress_weight: 0.0,
            stress_loss: EnergyLoss::default(),
            energy_loss: EnergyLoss::default(),
            force_loss: ForceLoss::default(),
            validate_every: 1,
            checkpoint_minutes: 10.0,
            checkpoint_steps: None,
            patience: None,
            best_by: BestBy::default(),
            start_from: None,
            dtype: Precision::F32,
            shards: None,
            activation_gib: 4.0,
        }
    }
}

impl TrainingConfig {
    /// Losses by label.
    pub fn losses(&self) -> LabelLosses {
        LabelLosses { energy: self.energy_loss, forces: self.force_loss, stress: self.stress_loss }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("training.{name}");
        for (name, value) in [
            ("energy_weight", self.energy_weight),
            ("force_weight", self.force_weight),
            ("stress_weight", self.stress_weight),
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
        self.shards.map_or(Ok(()), |shards| limits::SYSTEMS.check(&key("shards"), shards))?;
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
