//! Distances between the features of an atom and those of its neighbours, relative to one another.
//!
//! After the local structure preservation of Y. Yang et al., *Distilling Knowledge from Graph Convolutional Networks*, CVPR
//! 2020, as the distillation paper's code has it.

use burn::tensor::Tensor;
use potstill_core::Result;
use potstill_nn::tensors::{gather_rows, sum_rows};
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::groups::{Groups, column};
use crate::distill::needs::FeatureNeeds;
use crate::distill::settings::RelationTerm;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};
use crate::loss::norm;

/// Comparison of the distances between the features of an atom and those of its neighbours, relative to one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalPreservation(pub RelationTerm);

impl Strategy for LocalPreservation {
    fn name(&self) -> &'static str {
        "local_preservation"
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
        Some(self.0.needs())
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        on.relation(loss)
    }
}

/// Kullback–Leibler divergence `mean p_t (ln p_t − ln p_s)` over edges, where `p` is the softmax of `‖f_source − f_target‖`
/// over the edges into one target. The widths of both may differ. The edges are those that the student trains on.
///
/// Shapes: `[n_atoms, c]` and `[n_atoms, c']`.
pub(super) fn loss(student: Tensor<2>, teacher: Tensor<2>, groups: &Groups) -> Tensor<1> {
    if groups.target.is_empty() {
        return Tensor::zeros([1], (&student.device(), student.dtype()));
    }
    let (ours, theirs) = (log_softmax(student, groups), log_softmax(teacher, groups));
    let each = theirs.clone().exp() * (theirs - ours);
    let each = match groups.weights {
        None => each,
        Some(_) => {
            let weights = column(groups.of_atoms(|system, _| groups.weight(system)), &each);
            each * gather_rows(weights, &groups.target)
        }
    };
    each.sum().mul_scalar(1.0 / groups.edges)
}

/// Shape: `[n_edges, 1]`.
fn log_softmax(features: Tensor<2>, groups: &Groups) -> Tensor<2> {
    let n_atoms = features.dims()[0];
    let source = gather_rows(features.clone(), &groups.source);
    let target = gather_rows(features, &groups.target);
    let distance = norm(source - target);
    // One shift for all leaves exponentials finite and the softmax unchanged.
    let largest = distance.clone().detach().max().reshape([1, 1]);
    let shifted = distance - largest;
    let sum = sum_rows(shifted.clone().exp(), &groups.target, n_atoms);
    // Targets so much nearer than the farthest pair that all their exponentials vanish: a floor instead of ln 0.
    let sums = gather_rows(sum, &groups.target).clamp_min(1e-30);
    shifted - sums.log()
}
