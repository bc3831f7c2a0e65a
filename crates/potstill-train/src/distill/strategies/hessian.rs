//! Derivatives of the forces.
//!
//! A. Rodriguez et al., *Projected Hessian Learning*, arXiv 2603.04523.

use burn::tensor::Tensor;
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::probes::Probes;
use crate::distill::strategy::Strategy;
use crate::distill::targets::central_difference;
use crate::distill::weight::{Weight, WeightSchedule};
use crate::loss::FeatureLoss;
use crate::prepared::Rows;

/// Comparison of derivatives of the forces along random directions, which are products of Hessian and direction.
///
/// Each is a difference of the forces on two displaced copies of a system. The teacher is asked about them once; the student
/// runs on both copies in each step, which then takes about three times as long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hessian {
    /// λ.
    pub weight: Weight,
    /// Change of the weight over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// `"mse"` (default), `"mae"` or `{ huber = { delta = 1.0 } }`; the mean runs over free atoms and components.
    #[serde(default)]
    pub loss: FeatureLoss,
    /// Standard deviation of each coordinate's displacement in Å. Default 0.01.
    #[serde(default = "hundredth")]
    pub step: f64,
    /// Directions for each system, one of which a step uses. Default 1.
    #[serde(default = "one_probe")]
    pub probes: usize,
}

fn hundredth() -> f64 {
    0.01
}

fn one_probe() -> usize {
    1
}

impl Hessian {
    fn directions(&self) -> Probes {
        Probes { step: self.step, n: self.probes }
    }
}

impl Strategy for Hessian {
    fn name(&self) -> &'static str {
        "hessian"
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn scale(&mut self, factor: f64) {
        self.weight = self.weight.scaled(factor);
    }

    fn schedule(&self) -> WeightSchedule {
        self.schedule
    }

    fn check(&self) -> Result<(), String> {
        self.directions().check()
    }

    fn probes(&self) -> Option<Probes> {
        Some(self.directions())
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        let pass = on.pass;
        let no_forces = || Error::setting("distill.terms (hessian)", "needs a student with forces");
        let ours = central_difference(pass.output.forces.clone().ok_or_else(no_forces)?, self.step);
        let theirs = pass.targets.force_derivatives(&self.directions())?;
        // A fixed atom was not moved, and the forces on it are not trained on either.
        let free = pass.shard.free_mask(pass.batch);
        let scale = on.scale(Rows::Atoms, 3.0 * pass.counts.free.max(1.0));
        Ok(self.loss.evaluate(ours * free.clone(), theirs * free, scale))
    }
}
