//! Displacements that make student and teacher disagree: a few steps up the gradient of what is compared.
//!
//! Three things differ from the reference implementation, which (1) adds up gradients over the steps, as it never clears
//! them; (2) reads a setting for its ball mode that has no effect; (3) does not mind copies whose atoms overlap.
//! `accumulate` restores (1).

use potstill_core::limits;
use serde::{Deserialize, Serialize};

use super::jitter::{dot, projection, scaled, unit};

type Vec3 = [f64; 3];

/// Settings of an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Rule that turns a gradient into a step.
    pub rule: AttackRule,
    /// Steps. Default 1.
    #[serde(default = "one_step")]
    pub steps: usize,
    /// Standard deviation of each component of the random start in Å. Default 0.1; 0 starts from the system itself.
    #[serde(default = "tenth")]
    pub start_std: f64,
    /// Whether the gradient goes through the teacher too. Default false: its answers are constants.
    #[serde(default)]
    pub teacher_gradient: bool,
    /// Weight of the mean force that the teacher predicts, which an attack then avoids; in the teacher's units. Default 0.
    #[serde(default)]
    pub force_regularization: f64,
    /// Whether gradients add up over the steps, as in the reference implementation. Default false.
    #[serde(default)]
    pub accumulate: bool,
}

fn one_step() -> usize {
    1
}

fn tenth() -> f64 {
    0.1
}

/// Rule that turns a gradient into a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AttackRule {
    /// Adam, against the ordinary loss between student and teacher, whatever the terms are.
    Adam {
        /// Learning rate in Å.
        learning_rate: f64,
    },
    /// Each atom moves by the same length.
    Sphere {
        /// Length in Å.
        length: f64,
    },
    /// Each atom moves by the gradient times the rate, but not further than the length.
    Ball {
        /// Learning rate in Å² per unit of loss.
        learning_rate: f64,
        /// Length in Å.
        length: f64,
    },
    /// Each atom moves across the force on it, which is its label.
    AcrossForce {
        /// Length of the step.
        step: StepLength,
    },
}

/// Length of the step of an atom.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepLength {
    /// Displacement in Å for each eV/Å of force.
    Proportional(f64),
    /// Displacement in Å times eV/Å, divided by the force.
    Inverse(f64),
    /// Displacement in Å.
    Fixed(f64),
}

impl Attack {
    pub(crate) fn wrong(&self) -> Option<(&'static str, String)> {
        let rule = match self.rule {
            AttackRule::Adam { learning_rate } => vec![("rule.learning_rate", learning_rate)],
            AttackRule::Sphere { length } => vec![("rule.length", length)],
            AttackRule::Ball { learning_rate, length } => {
                vec![("rule.learning_rate", learning_rate), ("rule.length", length)]
            }
            AttackRule::AcrossForce { step } => match step {
                StepLength::Proportional(v) | StepLength::Inverse(v) | StepLength::Fixed(v) => vec![("rule.step", v)],
            },
        };
        let longest = limits::LONGEST_DISPLACEMENT;
        let (rates, lengths): (Vec<_>, Vec<_>) = rule.into_iter().partition(|(key, _)| key.ends_with("rate"));
        let bounded = rates.into_iter().map(|rate| (rate, limits::LARGEST_WEIGHT));
        let mut bounded = bounded.chain(lengths.into_iter().map(|length| (length, longest)));
        if let Some(((key, value), most)) = bounded.find(|((_, v), most)| !(*v > 0.0 && v <= most)) {
            return Some((key, format!("is {value}; it must be positive, and at most {most:e}")));
        }
        if let Some(complaint) = limits::ATTACK_STEPS.complaint(self.steps) {
            return Some(("steps", complaint));
        }
        let others = [
            ("start_std", self.start_std, longest),
            ("force_regularization", self.force_regularization, limits::LARGEST_WEIGHT),
        ];
        let wrong = others.into_iter().find(|(_, v, most)| !(0.0..=*most).contains(v));
        wrong.map(|(key, value, most)| (key, format!("is {value}; it must be zero or positive, and at most {most:e}")))
    }

    pub(crate) fn needs_teacher_gradient(&self) -> bool {
        self.teacher_gradient || self.force_regularization > 0.0
    }

    /// Whether the loss that the attack climbs is the ordinary one, and not that of the terms.
    pub(crate) fn climbs_ordinary_loss(&self) -> bool {
        matches!(self.rule, AttackRule::Adam { .. })
    }
}

/// State of an attack between its steps. Shapes: `[n_atoms, 3]`.
pub(crate) struct Climb {
    accumulated: Vec<Vec3>,
    first: Vec<Vec3>,
    second: Vec<Vec3>,
    n_done: i32,
}

impl Climb {
    pub(crate) fn new(n_atoms: usize) -> Self {
        let zeros = || vec![[0.0; 3]; n_atoms];
        Self { accumulated: zeros(), first: zeros(), second: zeros(), n_done: 0 }
    }

    /// The next step of each atom from the gradient of the loss. `forces` are needed by [`AttackRule::AcrossForce`] alone.
    pub(crate) fn step(&mut self, attack: &Attack, gradient: &[Vec3], forces: &[Vec3]) -> Vec<Vec3> {
        for (sum, gradient) in self.accumulated.iter_mut().zip(gradient) {
            let kept = if attack.accumulate && !attack.climbs_ordinary_loss() { *sum } else { [0.0; 3] };
            *sum = std::array::from_fn(|c| kept[c] + gradient[c]);
        }
        self.n_done += 1;
        (0..gradient.len()).map(|atom| self.one(attack, atom, forces)).collect()
    }

    fn one(&mut self, attack: &Attack, atom: usize, forces: &[Vec3]) -> Vec3 {
        let gradient = self.accumulated[atom];
        match attack.rule {
            AttackRule::Adam { learning_rate } => self.adam(atom, gradient, learning_rate),
            AttackRule::Sphere { length } => scaled(unit(gradient), length),
            AttackRule::Ball { learning_rate, length } => {
                let step = scaled(gradient, learning_rate);
                if dot(step, step).sqrt() > length { scaled(unit(step), length) } else { step }
            }
            AttackRule::AcrossForce { step } => {
                let force = forces.get(atom).copied().unwrap_or_default();
                let along = projection(gradient, force);
                let across = unit(std::array::from_fn(|c| gradient[c] - along[c]));
                let force = dot(force, force).sqrt();
                scaled(
                    across,
                    match step {
                        StepLength::Proportional(factor) => factor * force,
                        StepLength::Inverse(factor) => factor / force,
                        StepLength::Fixed(length) => length,
                    },
                )
            }
        }
    }

    /// Adam with PyTorch's defaults (Kingma and Ba, arXiv 1412.6980), upwards.
    fn adam(&mut self, atom: usize, gradient: Vec3, learning_rate: f64) -> Vec3 {
        let (beta_1, beta_2, epsilon) = (0.9_f64, 0.999_f64, 1e-8);
        std::array::from_fn(|c| {
            let first = &mut self.first[atom][c];
            *first = beta_1 * *first + (1.0 - beta_1) * gradient[c];
            let second = &mut self.second[atom][c];
            *second = beta_2 * *second + (1.0 - beta_2) * gradient[c] * gradient[c];
            let mean = *first / (1.0 - beta_1.powi(self.n_done));
            let spread = (*second / (1.0 - beta_2.powi(self.n_done))).sqrt();
            learning_rate * mean / (spread + epsilon)
        })
    }
}
