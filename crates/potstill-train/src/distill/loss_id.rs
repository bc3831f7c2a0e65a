//! Names of losses.

use std::fmt;

/// Systems that a term compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Set {
    /// Systems of the batch.
    Systems,
    /// Disturbed copies of them.
    Copies,
    /// Pairs of systems displaced to both sides along a probe, between which forces are differentiated.
    Probes,
}

impl Set {
    /// Section of the configuration in which such terms stand.
    pub fn section(self) -> &'static str {
        match self {
            Self::Systems | Self::Probes => "distill.terms",
            Self::Copies => "distill.augmentation.terms",
        }
    }
}

/// Name of a distillation term of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TermId {
    /// Systems that it compares.
    pub set: Set,
    /// Name of its strategy.
    pub strategy: &'static str,
    /// Number among the active terms of this strategy on these systems, counted from 0.
    pub number: usize,
}

/// The name in metrics, which terms of one strategy share.
impl fmt::Display for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.set == Set::Copies { "copies: " } else { "" };
        write!(f, "{prefix}{}", self.strategy)
    }
}

/// Name of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossId {
    /// Energies against labels.
    Energy,
    /// Forces against labels.
    Forces,
    /// Stresses against labels.
    Stress,
    /// A distillation term.
    Term(TermId),
}

/// Weights of distillation terms by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TermWeights(Vec<(TermId, f64)>);

impl TermWeights {
    /// Weight of a term; 0 for a term that is not of this run.
    pub fn of(&self, id: TermId) -> f64 {
        self.0.iter().find(|(own, _)| *own == id).map_or(0.0, |(_, weight)| *weight)
    }

    /// Weights in the order of the terms.
    pub fn iter(&self) -> impl Iterator<Item = (TermId, f64)> {
        self.0.iter().copied()
    }
}

impl FromIterator<(TermId, f64)> for TermWeights {
    fn from_iter<I: IntoIterator<Item = (TermId, f64)>>(weights: I) -> Self {
        Self(weights.into_iter().collect())
    }
}
