//! Settings of a training run, as a TOML file holds them.

mod data;
mod training;

use potstill_core::model::{Architecture, Forces};
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::distill::DistillConfig;

pub use data::{ChecksConfig, DataConfig};
pub use training::{BestBy, TrainingConfig, ValidatedWeights};

/// Configuration of a training, with or without a teacher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of initial weights and of the order of systems. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// Files and labels.
    #[serde(default = "DataConfig::without_files")]
    pub data: DataConfig,
    /// The network, tagged by `architecture = "schnet" | "painn" | "gemnet_oc"`.
    pub model: Architecture,
    /// Optimisation.
    #[serde(default)]
    pub training: TrainingConfig,
    /// Teacher and strategies; only for `potstill distill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillConfig>,
}

impl Config {
    /// Checks every number.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.training.validate()?;
        if self.training.stress_weight > 0.0 && self.model.forces() != Forces::Gradient {
            let message = "needs forces that are gradients, as direct forces have no stress; set model.forces = \"gradient\" \
                           where the architecture has it, or leave the weight out";
            return Err(Error::setting("training.stress_weight", message));
        }
        let rounds = self.distill.as_ref().and_then(|distill| distill.rounds.as_ref());
        match rounds {
            _ if !self.data.train.is_empty() => {}
            None => return Err(Error::setting("data.train", "names no file; give at least one")),
            Some(rounds) if rounds.seeds.is_empty() => {
                let message = "names no file, and data.train neither; give structures to start from";
                return Err(Error::setting("distill.rounds.seeds", message));
            }
            Some(_) => {}
        }
        let TrainingConfig { energy_weight, force_weight, stress_weight, best_by, .. } = self.training;
        let has_labels = [energy_weight, force_weight, stress_weight].iter().any(|weight| *weight > 0.0);
        if !has_labels && best_by == BestBy::Loss && !self.data.validation.is_empty() {
            let message = "is \"loss\", but all weights of labels are 0, so that every loss on the validation systems is 0; \
                           set it to \"energy_mae\" or \"forces_mae\"";
            return Err(Error::setting("training.best_by", message));
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
