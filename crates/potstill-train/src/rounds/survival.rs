//! How far trajectories came.

use serde::{Deserialize, Serialize};

/// Trajectory of the student, and how far it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lifetime {
    /// Index of the structure that it started from.
    pub seed_system: usize,
    /// Temperature of the heat bath in K.
    pub temperature: f64,
    /// Time in ps until it broke, or its whole length.
    pub picoseconds: f64,
    /// How it broke; none where it did not.
    pub broke: Option<String>,
}

/// How trajectories at one temperature ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survival {
    /// Temperature of the heat bath in K.
    pub temperature: f64,
    /// Number of trajectories.
    pub n_trajectories: usize,
    /// Trajectories that broke.
    pub n_broken: usize,
    /// Mean length in ps.
    pub mean_picoseconds: f64,
}

impl Survival {
    /// How trajectories ended, by temperature, the coldest first.
    pub fn of(lifetimes: &[Lifetime]) -> Vec<Self> {
        let mut temperatures: Vec<f64> = lifetimes.iter().map(|lifetime| lifetime.temperature).collect();
        temperatures.sort_by(f64::total_cmp);
        temperatures.dedup();
        let of = |temperature: f64| {
            let own: Vec<&Lifetime> = lifetimes.iter().filter(|l| l.temperature == temperature).collect();
            Self {
                temperature,
                n_trajectories: own.len(),
                n_broken: own.iter().filter(|l| l.broke.is_some()).count(),
                mean_picoseconds: own.iter().map(|l| l.picoseconds).sum::<f64>() / own.len() as f64,
            }
        };
        temperatures.into_iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survival_is_counted_by_temperature() {
        let life = |temperature, picoseconds, broke: bool| Lifetime {
            seed_system: 0,
            temperature,
            picoseconds,
            broke: broke.then(|| "it".to_owned()),
        };
        let all = [life(600.0, 2.0, false), life(300.0, 2.0, false), life(600.0, 1.0, true)];
        let survival = Survival::of(&all);
        assert_eq!(survival.len(), 2);
        assert_eq!(survival[0].n_broken, 0);
        let hot = Survival { temperature: 600.0, n_trajectories: 2, n_broken: 1, mean_picoseconds: 1.5 };
        assert_eq!(survival[1], hot);
    }
}
