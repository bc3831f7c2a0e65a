//! The `[distill.rounds]` section.

use std::path::PathBuf;

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Rounds of a distillation: the teacher labels structures, the student learns them, the student's own dynamics find the next ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoundsConfig {
    /// Number of trainings, each with more structures than the one before. Default 3.
    pub n: usize,
    /// Files of structures to start from; their labels are not used. Default: those of `data.train`.
    pub seeds: Vec<PathBuf>,
    /// Files of structures that the student will be judged on: what comes too near to one of them is thrown away. Default: none.
    pub test: Vec<PathBuf>,
    /// Temperatures of the dynamics in K. Default 300, 600 and 1000.
    pub temperatures: Vec<f64>,
    /// Structures that the teacher labels for each training. Default 400. One in eight is for validation.
    pub labels: usize,
    /// Times that the teacher is asked at most, about, all together; there are then as many structures in each round as that
    /// allows. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_calls: Option<usize>,
    /// Times that the teacher is asked at the end for dynamics of its own, whose distances between atoms are compared with the
    /// student's. Default 1000; 0 for none.
    pub comparison_calls: usize,
    /// Whether the teacher runs dynamics and relaxations of its own for the first training, which take about ten answers for
    /// a structure; else they are random displacements alone. Default true.
    pub teacher_dynamics: bool,
    /// Trajectories of the student after each training but the last. Default 32.
    pub trajectories: usize,
    /// Length of a trajectory in ps. Default 2.
    pub picoseconds: f64,
    /// Timestep of all dynamics in fs. Default 0.5.
    pub timestep: f64,
    /// Minutes of all trainings together, the later ones longer. Default: none; each training is then as long as `[training]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_minutes: Option<f64>,
    /// Training on `data.train` alone at the end, where it names files: `{ energy_factor = 10.0, learning_rate_factor = 0.3 }`.
    pub fine_tune: FineTune,
}

/// Last training, on real labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineTune {
    /// Factor on `training.energy_weight`. Default 10.
    pub energy_factor: f64,
    /// Factor on `training.learning_rate`. Default 0.3.
    pub learning_rate_factor: f64,
}

impl Default for FineTune {
    fn default() -> Self {
        Self { energy_factor: 10.0, learning_rate_factor: 0.3 }
    }
}

impl Default for RoundsConfig {
    fn default() -> Self {
        Self {
            n: 3,
            seeds: Vec::new(),
            test: Vec::new(),
            temperatures: vec![300.0, 600.0, 1000.0],
            labels: 400,
            teacher_calls: None,
            comparison_calls: 1000,
            teacher_dynamics: true,
            trajectories: 32,
            picoseconds: 2.0,
            timestep: 0.5,
            training_minutes: None,
            fine_tune: FineTune::default(),
        }
    }
}

/// Largest number of rounds, labels, trajectories and calls.
const MOST: usize = 1_000_000_000;

impl RoundsConfig {
    /// Checks all numbers.
    ///
    /// # Errors
    /// The first that is out of range, by its key.
    pub fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("distill.rounds.{name}");
        let counts = [
            ("n", self.n),
            ("labels", self.labels),
            ("trajectories", self.trajectories),
            ("teacher_calls", self.teacher_calls.unwrap_or(1)),
            // None are allowed.
            ("comparison_calls", self.comparison_calls.max(1)),
        ];
        for (name, value) in counts {
            if !(1..=MOST).contains(&value) {
                return Err(Error::setting(key(name), format!("is {value}; give a number from 1 to {MOST}")));
            }
        }
        if self.temperatures.is_empty() {
            return Err(Error::setting(key("temperatures"), "is empty; give temperatures in K, as [300.0, 600.0]"));
        }
        let temperatures = self.temperatures.iter().map(|&kelvin| ("temperatures", kelvin));
        let others = [
            ("picoseconds", self.picoseconds),
            ("timestep", self.timestep),
            ("training_minutes", self.training_minutes.unwrap_or(1.0)),
            ("fine_tune.energy_factor", self.fine_tune.energy_factor),
            ("fine_tune.learning_rate_factor", self.fine_tune.learning_rate_factor),
        ];
        match temperatures.chain(others).find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            Some((name, value)) => Err(Error::setting(key(name), format!("is {value}; it must be positive"))),
            None => Ok(()),
        }
    }

    /// Minutes of the training of each round, which grow as 1, 2, 3, …, and of the last one on real labels.
    pub fn minutes(&self, fine_tunes: bool) -> Option<(Vec<f64>, f64)> {
        let all = self.training_minutes?;
        let last = if fine_tunes { FINE_TUNING * all } else { 0.0 };
        let sum: usize = (1..=self.n).sum();
        Some(((1..=self.n).map(|round| (all - last) * round as f64 / sum as f64).collect(), last))
    }
}

/// Part of the time of all trainings that the last one, on real labels, takes.
const FINE_TUNING: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_add_up_and_grow() {
        let config = RoundsConfig { n: 3, training_minutes: Some(30.0), ..RoundsConfig::default() };
        let (rounds, last) = config.minutes(true).unwrap();
        assert!((rounds.iter().sum::<f64>() + last - 30.0).abs() < 1e-12 && last > 0.0);
        assert!(rounds.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(config.minutes(false).unwrap().1, 0.0);
        assert_eq!(RoundsConfig::default().minutes(true), None);
    }

    #[test]
    fn senseless_numbers_are_named() {
        let wrong = [
            (RoundsConfig { n: 0, ..RoundsConfig::default() }, "distill.rounds.n: is 0"),
            (RoundsConfig { temperatures: vec![], ..RoundsConfig::default() }, "distill.rounds.temperatures: is empty"),
            (
                RoundsConfig { temperatures: vec![-3.0], ..RoundsConfig::default() },
                "distill.rounds.temperatures: is -3",
            ),
            (RoundsConfig { timestep: f64::NAN, ..RoundsConfig::default() }, "distill.rounds.timestep: is NaN"),
        ];
        for (config, expected) in wrong {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        RoundsConfig::default().validate().unwrap();
    }
}
