//! Learning-rate schedules.

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the learning rate changes; steps are counted from 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// It does not.
    #[default]
    Constant,
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
        let factors: Vec<(&str, f64)> = match self {
            Self::Constant => Vec::new(),
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

/// What a plateau schedule remembers.
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
    /// What a plateau schedule remembers; the others remember nothing.
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
            ScheduleConfig::Constant => self.initial,
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

    /// Tells a plateau schedule the loss of a validation.
    pub fn observe(&mut self, loss: f64) {
        let ScheduleConfig::Plateau { factor, patience, threshold, cooldown, min_factor } = self.config else { return };
        let state = &mut self.plateau;
        if state.best.is_none_or(|best| loss < best * (1.0 - threshold)) {
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
            state.learning_rate = (state.learning_rate * factor).max(self.initial * min_factor);
            state.cooling = cooldown;
            state.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_testkit::golden;

    fn config(json: &serde_json::Value) -> ScheduleConfig {
        let number = |key: &str| json[key].as_f64().unwrap_or_default();
        match json["scheduler"].as_str() {
            Some("LinearWarmupExponentialDecay") => ScheduleConfig::WarmupExponential {
                warmup_steps: number("warmup_steps") as u64,
                decay_rate: number("decay_rate"),
                decay_steps: number("decay_steps") as u64,
                staircase: json["staircase"] == true,
            },
            Some(_) => ScheduleConfig::Plateau {
                factor: number("factor"),
                patience: number("patience") as u64,
                threshold: 1e-4,
                cooldown: 0,
                min_factor: 0.0,
            },
            None => ScheduleConfig::Milestones {
                warmup_steps: number("warmup_steps").max(0.0) as u64,
                warmup_factor: number("warmup_factor"),
                milestones: json["lr_milestones"].as_array().unwrap().iter().filter_map(|m| m.as_u64()).collect(),
                gamma: number("lr_gamma"),
            },
        }
    }

    #[test]
    fn golden_schedules() {
        let Some(path) = golden::fixtures("schedules.json") else { return };
        for (name, case) in golden::json(&path).as_object().unwrap() {
            let initial = case["config"]["lr_initial"].as_f64().unwrap();
            let mut schedule = Schedule::new(config(&case["config"]), initial, 0);
            let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{name}: {a} instead of {b}");
            if let Some(rates) = case["lr"].as_object() {
                for (step, rate) in rates {
                    close(schedule.learning_rate(step.parse().unwrap(), None), rate.as_f64().unwrap());
                }
            } else {
                let after = case["lr_after"].as_array().unwrap();
                for (metric, rate) in case["metrics"].as_array().unwrap().iter().zip(after) {
                    schedule.observe(metric.as_f64().unwrap());
                    close(schedule.learning_rate(0, None), rate.as_f64().unwrap());
                }
            }
        }
    }

    #[test]
    fn cosine_starts_warm_and_ends_low() {
        let config = ScheduleConfig::Cosine { warmup_steps: 10, total_steps: Some(110), final_factor: 0.1 };
        let schedule = Schedule::new(config, 2.0, 0);
        assert!((schedule.learning_rate(0, None) - 0.2).abs() < 1e-12);
        assert!((schedule.learning_rate(10, None) - 2.0).abs() < 1e-12);
        assert!((schedule.learning_rate(60, None) - 1.1).abs() < 1e-12);
        assert!((schedule.learning_rate(500, None) - 0.2).abs() < 1e-12);
    }
}
