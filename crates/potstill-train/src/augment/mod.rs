//! Displacements that make disturbed copies of systems (Ekström Kelvinius et al. 2023, app. G, H).
//!
//! | file | idea |
//! |---|---|
//! | `jitter` | random displacements, free or along and across the forces |
//! | `attack` | displacements that make student and teacher disagree |

pub mod attack;
pub mod jitter;

use serde::{Deserialize, Serialize};

pub use attack::{Attack, AttackRule, StepLength};
pub use jitter::{Jitter, JitterMode};

/// Making of the copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Copies {
    /// Random displacements: [`Jitter`].
    RandomJitter(Jitter),
    /// Displacements up a gradient: [`Attack`].
    Adversarial(Attack),
}
