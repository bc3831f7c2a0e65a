//! Losses of a batch, by name.

use crate::distill::{LossId, TermId};

/// Part of the loss that is differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole loss.
    All,
    /// One loss alone.
    One(LossId),
}

impl Part {
    /// Whether a loss belongs to the part.
    pub(super) fn holds(self, id: LossId) -> bool {
        match self {
            Self::All => true,
            Self::One(own) => own == id,
        }
    }
}

/// Weighted losses of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    values: Vec<(LossId, f64)>,
    /// Copies that were thrown away.
    pub n_rejected: usize,
}

impl Losses {
    /// Losses with their names; terms keep their order.
    pub(super) fn new(values: Vec<(LossId, f64)>) -> Self {
        Self { values, n_rejected: 0 }
    }

    /// A loss by its name; 0 for one that is not there.
    pub fn of(&self, id: LossId) -> f64 {
        self.values.iter().find(|(own, _)| *own == id).map_or(0.0, |(_, value)| *value)
    }

    /// Distillation terms in the order of the run.
    pub fn terms(&self) -> impl Iterator<Item = (TermId, f64)> {
        self.values.iter().filter_map(|(id, value)| match id {
            LossId::Term(id) => Some((*id, *value)),
            LossId::Energy | LossId::Forces | LossId::Stress => None,
        })
    }

    /// Sum of all losses.
    pub fn total(&self) -> f64 {
        self.main() + self.terms().map(|(_, value)| value).sum::<f64>()
    }

    /// Sum without the distillation terms.
    pub fn main(&self) -> f64 {
        self.of(LossId::Energy) + self.of(LossId::Forces) + self.of(LossId::Stress)
    }

    /// The same losses with other values.
    pub(super) fn with(&self, value: impl Fn(LossId) -> f64) -> Self {
        Self { values: self.values.iter().map(|(id, _)| (*id, value(*id))).collect(), n_rejected: self.n_rejected }
    }

    /// Adds the losses of another shard.
    pub(super) fn add(&mut self, other: &Self) {
        for (id, value) in &other.values {
            match self.values.iter_mut().find(|(own, _)| own == id) {
                Some((_, sum)) => *sum += value,
                None => self.values.push((*id, *value)),
            }
        }
        self.n_rejected += other.n_rejected;
    }
}
