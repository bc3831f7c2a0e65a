//! The teacher as another source of labels.

use burn::tensor::Tensor;
use potstill_core::Result;
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::questions::Holds;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};

/// Energies and forces of the teacher as additional targets, with the losses of the training section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vanilla {
    /// Weight of the energies. Default 1.
    #[serde(default = "one")]
    pub energy_weight: f64,
    /// Weight of the forces. Default 100.
    #[serde(default = "hundred")]
    pub force_weight: f64,
    /// Change of both weights over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
}

fn one() -> f64 {
    1.0
}

fn hundred() -> f64 {
    100.0
}

impl Strategy for Vanilla {
    fn name(&self) -> &'static str {
        "vanilla"
    }

    fn weight(&self) -> Weight {
        Weight::Fixed(1.0)
    }

    fn weights(&self) -> Vec<f64> {
        vec![self.energy_weight, self.force_weight]
    }

    fn scale(&mut self, factor: f64) {
        self.energy_weight *= factor;
        self.force_weight *= factor;
    }

    fn schedule(&self) -> WeightSchedule {
        self.schedule
    }

    fn lacking(&self, holds: Holds) -> Option<&'static str> {
        if self.energy_weight > 0.0 && !holds.energy {
            return Some("no energies for all systems; set energy_weight = 0");
        }
        let lacks_forces = self.force_weight > 0.0 && !holds.forces;
        lacks_forces.then_some("no forces for all systems; set force_weight = 0")
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        on.pass.ordinary((on.weight * self.energy_weight, on.weight * self.force_weight))
    }
}
