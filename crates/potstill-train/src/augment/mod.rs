//! Disturbed copies of the systems of a batch, on which student and teacher are compared too (Ekström Kelvinius et al. 2023,
//! app. G, H).
//!
//! Atoms that are fixed stay where they are, labels stay behind: only the teacher speaks of a copy. A copy is a function of
//! seed, step and system, so runs resume exactly and the number of threads does not matter. A copy whose atoms come too close,
//! or whose positions are no numbers, is thrown away and counted.
//!
//! | file | idea |
//! |---|---|
//! | `jitter` | random displacements, free or along and across the forces |
//! | `attack` | displacements that make student and teacher disagree |
//! | `copies` | what a step does with either |

pub mod attack;
mod copies;
pub mod jitter;

use potstill_core::model::Architecture;
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

pub use attack::{Attack, AttackRule, StepLength};
pub use jitter::{Jitter, JitterMode};

use crate::distill::Term;

/// Copies and what is compared on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// `{ kind = "random_jitter", … }` or `{ kind = "adversarial", … }`.
    pub copies: Copies,
    /// Terms on the copies, as in `[[distill.terms]]`. One that compares the same features as a term on the systems shares
    /// its projection.
    pub terms: Vec<Term>,
    /// Copies with atoms closer than this, in Å, are thrown away. Default 0.4.
    #[serde(default = "min_distance")]
    pub min_distance: f64,
}

fn min_distance() -> f64 {
    0.4
}

/// How copies are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Copies {
    /// See [`Jitter`].
    RandomJitter(Jitter),
    /// See [`Attack`].
    Adversarial(Attack),
}

impl Augmentation {
    /// Checks numbers, and that positions can be differentiated where they must be.
    ///
    /// # Errors
    /// Names the setting and what it may be.
    pub fn validate(&self, student: &Architecture) -> Result<()> {
        let fail = |key: &str, message: String| Err(Error::setting(format!("distill.augmentation.{key}"), message));
        if self.terms.is_empty() {
            return fail("terms", "is empty; give at least one term to compare on the copies".to_owned());
        }
        if !(self.min_distance.is_finite() && self.min_distance >= 0.0) {
            return fail("min_distance", format!("is {}; it must be zero or positive", self.min_distance));
        }
        let wrong = match &self.copies {
            Copies::RandomJitter(jitter) => jitter.wrong(),
            Copies::Adversarial(attack) => attack.wrong(),
        };
        if let Some((key, message)) = wrong {
            return fail(&format!("copies.{key}"), message);
        }
        if matches!(self.copies, Copies::Adversarial(_)) && matches!(student, Architecture::GemNetOC(_)) {
            let message = "needs derivatives with respect to positions, which a GemNetOC student does not give; use \
                           kind = \"random_jitter\", or a SchNet or PaiNN student";
            return fail("copies (adversarial)", message.to_owned());
        }
        Ok(())
    }

    /// Checks that the teacher can be differentiated where that is asked for.
    ///
    /// # Errors
    /// A GemNet-OC.
    pub fn check_teacher(&self, teacher: &Architecture) -> Result<()> {
        let Copies::Adversarial(attack) = &self.copies else { return Ok(()) };
        if attack.needs_teacher_gradient() && matches!(teacher, Architecture::GemNetOC(_)) {
            let message = "teacher_gradient and force_regularization need derivatives with respect to positions, which a \
                           GemNetOC teacher does not give; leave them out";
            return Err(Error::setting("distill.augmentation.copies", message));
        }
        Ok(())
    }
}
