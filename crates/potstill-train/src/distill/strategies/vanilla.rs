//! The teacher as another source of labels.

use burn::tensor::Tensor;
use potstill_core::Result;
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::questions::Holds;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};

/// Energies, forces and stresses of the teacher as additional targets, with the losses of the training section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vanilla {
    /// Weight of the energies. Default 1.
    #[serde(default = "one")]
    pub energy_weight: f64,
    /// Weight of the forces. Default 100.
    #[serde(default = "hundred")]
    pub force_weight: f64,
    /// Weight of the stresses, for systems with a cell and students with gradient forces. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stress_weight: f64,
    /// Change of all weights over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
}

fn one() -> f64 {
    1.0
}

fn hundred() -> f64 {
    100.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

impl Strategy for Vanilla {
    fn name(&self) -> &'static str {
        "vanilla"
    }

    fn weight(&self) -> Weight {
        Weight::Fixed(1.0)
    }

    fn weights(&self) -> Vec<f64> {
        vec![self.energy_weight, self.force_weight, self.stress_weight]
    }

    fn scale(&mut self, factor: f64) {
        self.energy_weight *= factor;
        self.force_weight *= factor;
        self.stress_weight *= factor;
    }

    fn schedule(&self) -> WeightSchedule {
        self.schedule
    }

    fn virials(&self) -> bool {
        self.stress_weight > 0.0
    }

    fn lacking(&self, holds: Holds) -> Option<&'static str> {
        if self.energy_weight > 0.0 && !holds.energy {
            return Some("no energies for all systems; set energy_weight = 0");
        }
        if self.stress_weight > 0.0 && !holds.virial {
            return Some("no virials, as its forces are direct or it gives no stress; set stress_weight = 0");
        }
        let lacks_forces = self.force_weight > 0.0 && !holds.forces;
        lacks_forces.then_some("no forces for all systems; set force_weight = 0")
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        let ordinary = on.pass.ordinary((on.weight * self.energy_weight, on.weight * self.force_weight))?;
        match self.stress_weight > 0.0 {
            true => Ok(ordinary + on.pass.stress(on.weight * self.stress_weight)?),
            false => Ok(ordinary),
        }
    }
}
