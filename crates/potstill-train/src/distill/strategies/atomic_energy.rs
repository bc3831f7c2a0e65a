//! Energies of single atoms.

use burn::tensor::Tensor;
use potstill_core::Result;
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::questions::Holds;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};
use crate::prepared::Rows;

/// Comparison of the energies of single atoms, with the energy loss of the training section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomicEnergy {
    /// λ.
    pub weight: Weight,
    /// Change of the weight over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
}

impl Strategy for AtomicEnergy {
    fn name(&self) -> &'static str {
        "atomic_energy"
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

    fn lacking(&self, holds: Holds) -> Option<&'static str> {
        let message = "no energies of atoms for all systems (`atomic_energies`); leave this term out";
        (!holds.atomic_energies).then_some(message)
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        let target = on.pass.targets.atomic_energies()?;
        let scale = on.scale(Rows::Atoms, on.pass.counts.atoms);
        Ok(on.pass.losses.energy.evaluate(on.pass.output.atomic_energies.clone(), target, scale))
    }
}
