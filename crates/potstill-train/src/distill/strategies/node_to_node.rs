//! Node to node (F. Ekström Kelvinius et al., arXiv 2306.14818, sec. 4).

use burn::tensor::Tensor;
use potstill_core::Result;
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::kind::Kind;
use crate::distill::needs::FeatureNeeds;
use crate::distill::settings::FeatureTerm;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};

/// Comparison of the scalar features of each atom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeToNode(pub FeatureTerm);

impl Strategy for NodeToNode {
    fn name(&self) -> &'static str {
        "node_to_node"
    }

    fn weight(&self) -> Weight {
        self.0.weight
    }

    fn scale(&mut self, factor: f64) {
        self.0.weight = self.0.weight.scaled(factor);
    }

    fn schedule(&self) -> WeightSchedule {
        self.0.schedule
    }

    fn features(&self) -> Option<FeatureNeeds<'_>> {
        Some(self.0.needs(Kind::Node))
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        on.each(self.0.loss)
    }
}
