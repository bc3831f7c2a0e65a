//! Learning-rate schedules.

use potstill_core::{Error, Result, limits};
use serde::{Deserialize, Serialize};

/// Change of the learning rate; steps are counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// No change. The default.
    // Braces: serde lets unknown keys pass beside the tag of a variant without fields.
    Constant {},
    /// `min((step+1)/warmup_steps, 1) · decay_rate^(step/decay_steps)`, the paper's COLL setting.
    WarmupExponential {
        /// Steps of the linear warm-up.
        warmup_steps: u64,
        /// Factor per `decay_steps`.
        decay_rate: f64,
        /// Steps of one decay.
        decay_steps: u64,
        /// Decay in jumps instead of smoothly. Default false.
        #[serde(default)]
        staircase: bool,
    },
    /// Linear warm-up from `warmup_factor`, then times `gamma` at each milestone.
    Milestones {
        /// Steps of the linear warm-up. Default 0: none.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor at step 0. Default 0.2.
        #[serde(default = "fifth")]
        warmup_factor: f64,
        /// Steps at which the rate drops.
        milestones: Vec<u64>,
        /// Factor of each drop.
        gamma: f64,
    },
    /// Times `factor` after more than `patience` validations without a better loss.
    Plateau {
        /// Factor of each drop.
        factor: f64,
        /// Validations to wait.
        patience: u64,
        /// Relative improvement that counts. Default 1e-4.
        #[serde(default = "threshold")]
        threshold: f64,
        /// Validations after a drop that do not count. Default 0.
        #[serde(default)]
        cooldown: u64,
        /// Smallest total factor. Default 0.
        #[serde(default)]
        min_factor: f64,
    },
    /// Linear warm-up, then half a cosine down to `final_factor`.
    Cosine {
        /// Steps of the linear warm-up. Default 0: none.
        #[serde(default)]
        warmup_steps: u64,
        /// Step at which `final_factor` is reached. Default: the last step of the run, or of its time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_steps: Option<u64>,
        /// Factor at the end. Default 0.01.
        #[serde(default = "hundredth")]
        final_factor: f64,
    },
}

/// A plateau does not make a change of the rate that is smaller than this, as in PyTorch.
const SMALLEST_CHANGE: f64 = 1e-8;

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Constant {}
    }
}

fn fifth() -> f64 {
    0.2
}

fn threshold() -> f64 {
    1e-4
}

fn hundredth() -> f64 {
    0.01
}

impl ScheduleConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        for (name, steps) in self.counts() {
            limits::STEPS.at_least(0).check_count(&format!("training.schedule.{name}"), steps)?;
        }
        let factors: Vec<(&str, f64)> = match self {
            Self::Constant {} => Vec::new(),
            Self::WarmupExponential { decay_rate, decay_steps, .. } => {
                if *decay_steps == 0 {
                    return Err(Error::setting("training.schedule.decay_steps", "is 0; it must be at least 1"));
                }
                vec![("decay_rate", *decay_rate)]
            }
            Self::Milestones { warmup_factor, milestones, gamma, .. } => {
                if milestones.windows(2).any(|w| w[0] >= w[1]) {
                    return Err(Error::setting("training.schedule.milestones", "must ascend"));
                }
                vec![("warmup_factor", *warmup_factor), ("gamma", *gamma)]
            }
            Self::Plateau { factor, min_factor, threshold, .. } => {
                vec![("factor", *factor), ("min_factor", *min_factor), ("threshold", *threshold)]
            }
            Self::Cosine { final_factor, .. } => vec![("final_factor", *final_factor)],
        };
        match factors.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            Some((name, value)) => Err(Error::setting(
                format!("training.schedule.{name}"),
                format!("is {value}; it must be within 0 and 1"),
            )),
            None => Ok(()),
        }
    }
}

impl ScheduleConfig {
    /// Every number of steps or validations, by name.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::Constant {} => Vec::new(),
            Self::WarmupExponential { warmup_steps, decay_steps, .. } => {
                vec![("warmup_steps", *warmup_steps), ("decay_steps", *decay_steps)]
            }
            Self::Milestones { warmup_steps, milestones, .. } => {
                let all = milestones.iter().map(|&step| ("milestones", step));
                all.chain([("warmup_steps", *warmup_steps)]).collect()
            }
            Self::Plateau { patience, cooldown, .. } => vec![("patience", *patience), ("cooldown", *cooldown)],
            Self::Cosine { warmup_steps, total_steps, .. } => {
                vec![("warmup_steps", *warmup_steps), ("total_steps", total_steps.unwrap_or(0))]
            }
        }
    }
}

/// State of a plateau schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// Learning rate now.
    pub learning_rate: f64,
    /// Best loss so far.
    pub best: Option<f64>,
    /// Validations since.
    pub waited: u64,
    /// Validations left that do not count.
    pub cooling: u64,
}

/// A schedule in use.
#[derive(Debug, Clone)]
pub struct Schedule {
    config: ScheduleConfig,
    initial: f64,
    total_steps: u64,
    /// State of a plateau schedule; unused by the others.
    pub plateau: PlateauState,
}

impl Schedule {
    /// A schedule that starts from the rate `initial`; a cosine without `total_steps` ends after those given here.
    pub fn new(config: ScheduleConfig, initial: f64, total_steps: u64) -> Self {
        let plateau = PlateauState { learning_rate: initial, best: None, waited: 0, cooling: 0 };
        Self { config, initial, total_steps, plateau }
    }

    /// Learning rate of a step; `done` is the part of the run's time that is over, when time limits the run.
    pub fn learning_rate(&self, step: u64, done: Option<f64>) -> f64 {
        let warm = |warmup: u64| if warmup == 0 { 1.0 } else { ((step + 1) as f64 / warmup as f64).min(1.0) };
        match &self.config {
            ScheduleConfig::Constant {} => self.initial,
            ScheduleConfig::WarmupExponential { warmup_steps, decay_rate, decay_steps, staircase } => {
                let exponent = step as f64 / *decay_steps as f64;
                let exponent = if *staircase { exponent.floor() } else { exponent };
                self.initial * (warm(*warmup_steps) * decay_rate.powf(exponent))
            }
            ScheduleConfig::Milestones { warmup_steps, warmup_factor, milestones, gamma } => {
                if step <= *warmup_steps && *warmup_steps > 0 {
                    let alpha = step as f64 / *warmup_steps as f64;
                    return self.initial * (warmup_factor * (1.0 - alpha) + alpha);
                }
                let passed = milestones.iter().filter(|&&m| m <= step).count();
                self.initial * gamma.powi(passed as i32)
            }
            ScheduleConfig::Plateau { .. } => self.plateau.learning_rate,
            ScheduleConfig::Cosine { warmup_steps, total_steps, final_factor } => {
                let total = total_steps.unwrap_or(self.total_steps).max(warmup_steps + 1);
                let by_steps = step.saturating_sub(*warmup_steps) as f64 / (total - warmup_steps) as f64;
                let done = if total_steps.is_some() { by_steps } else { by_steps.max(done.unwrap_or(0.0)) };
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
                self.initial * warm(*warmup_steps) * (final_factor + (1.0 - final_factor) * cosine)
            }
        }
    }

    /// Tells a plateau schedule the loss of a validation. A loss that is not a finite number is never better.
    pub fn observe(&mut self, loss: f64) {
        let ScheduleConfig::Plateau { factor, patience, threshold, cooldown, min_factor } = self.config else { return };
        let state = &mut self.plateau;
        if loss.is_finite() && state.best.is_none_or(|best| loss < best * (1.0 - threshold)) {
            state.best = Some(loss);
            state.waited = 0;
        } else {
            state.waited += 1;
        }
        if state.cooling > 0 {
            state.cooling -= 1;
            state.waited = 0;
        }
        if state.waited > patience {
            let lowered = (state.learning_rate * factor).max(self.initial * min_factor);
            if state.learning_rate - lowered > SMALLEST_CHANGE {
                state.learning_rate = lowered;
            }
            state.cooling = cooldown;
            state.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests;
