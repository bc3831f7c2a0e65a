//! Terms, whatever their strategy.

use potstill_core::limits;
use serde::Serialize;

use super::custom::Custom;
use super::kind::Kind;
use super::needs::FeatureNeeds;
use super::probes::Probes;
use super::projection::ProjectionKind;
use super::strategies::Term;
use super::strategy::Strategy;
use super::weight::{Weight, WeightSchedule};

impl Term {
    /// A term with a strategy that is not of this crate.
    pub fn custom(strategy: impl Strategy + Serialize + Clone + 'static) -> Self {
        Self::Custom(Custom::new(strategy))
    }

    /// Name of the strategy, as configurations write it.
    pub fn name(&self) -> &'static str {
        self.strategy().name()
    }

    /// Weight λ.
    pub fn weight(&self) -> Weight {
        self.strategy().weight()
    }

    /// Whether the term adds anything to the loss.
    pub fn is_active(&self) -> bool {
        self.strategy().weights().iter().any(|weight| *weight > 0.0)
    }

    /// Whether the weight is found at the start of the run.
    pub fn has_auto_weight(&self) -> bool {
        matches!(self.weight(), Weight::Auto(_))
    }

    /// Change of the weight over the run.
    pub fn schedule(&self) -> WeightSchedule {
        self.strategy().schedule()
    }

    /// Features that are compared, if any.
    pub fn features(&self) -> Option<FeatureNeeds<'_>> {
        self.strategy().features()
    }

    /// Directions along which derivatives of the forces are compared, if any.
    pub fn probes(&self) -> Option<Probes> {
        self.strategy().probes()
    }

    /// Copy of the term with its weights times `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut term = self.clone();
        term.strategy_mut().scale(factor);
        term
    }

    /// Checks every number; the message says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let weights = self.strategy().weights();
        if let Some(weight) = weights.iter().find(|w| !(0.0..=limits::LARGEST_WEIGHT).contains(*w)) {
            let most = limits::LARGEST_WEIGHT;
            return Err(format!("weight {weight} must be zero or a positive number up to {most:e}"));
        }
        self.strategy().check()?;
        let turned = |f: FeatureNeeds<'_>| f.projection == ProjectionKind::Mlp && f.kind == Kind::Vector;
        if self.features().is_some_and(turned) {
            return Err("projection = \"mlp\" would not rotate with the system; use \"linear\" for vectors".to_owned());
        }
        self.schedule().check()
    }
}
