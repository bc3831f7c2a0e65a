//! Distances between the features of all pairs of atoms of a system.
//!
//! After the global structure preservation of C. K. Joshi et al., *On Representation Knowledge Distillation for Graph Neural
//! Networks*, IEEE TNNLS 2022, as the distillation paper's code has it.

use burn::tensor::Tensor;
use potstill_core::Result;
use potstill_nn::tensors::{RowIndex, float_tensor, gather_rows};
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::groups::Groups;
use crate::distill::needs::FeatureNeeds;
use crate::distill::settings::RelationTerm;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};

/// Comparison of the distances between the features of all pairs of atoms of a system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GlobalPreservation(pub RelationTerm);

impl Strategy for GlobalPreservation {
    fn name(&self) -> &'static str {
        "global_preservation"
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

/// `mean (D_ij(student) − D_ij(teacher))²` over all ordered pairs of a system, then over systems, with
/// `D_ij = mean (f_i − f_j)²` over channels. The widths of both may differ.
///
/// Shapes: `[n_atoms, c]` and `[n_atoms, c']`. Needs as many numbers as there are systems times the square of the largest.
pub(super) fn loss(student: Tensor<2>, teacher: Tensor<2>, groups: &Groups) -> Tensor<1> {
    let width = groups.sizes.iter().copied().max().unwrap_or(0);
    if width == 0 {
        return Tensor::zeros([1], (&student.device(), student.dtype()));
    }
    // Weight of each pair; 0 where a smaller system has none.
    let mut weights = vec![0.0; groups.sizes.len() * width * width];
    let mut rows = vec![0; groups.sizes.len() * width];
    let mut taken = vec![false; rows.len()];
    let mut first = 0;
    for (system, &n) in groups.sizes.iter().enumerate() {
        for i in 0..n {
            rows[system * width + i] = (first + i) as i32;
            taken[system * width + i] = true;
            let start = (system * width + i) * width;
            weights[start..start + n].fill(groups.weight(system) / ((n * n) as f64 * groups.systems));
        }
        first += n;
    }
    let shape = [groups.sizes.len(), width, width];
    let weights = float_tensor(weights, shape, &student.device(), student.dtype());
    let rows = RowIndex::masked(rows, &taken, &student.device());
    let spread = |features: Tensor<2>| {
        let channels = features.dims()[1];
        gather_rows(features, &rows).reshape([shape[0], width, channels])
    };
    let difference = distances(spread(student)) - distances(spread(teacher));
    (difference.powi_scalar(2) * weights).sum()
}

/// `mean (f_i − f_j)²` of all pairs. Shape: `[s, n, c]` to `[s, n, n]`.
fn distances(features: Tensor<3>) -> Tensor<3> {
    let channels = features.dims()[2];
    let squares = features.clone().powi_scalar(2).sum_dim(2);
    let products = features.clone().matmul(features.swap_dims(1, 2)).mul_scalar(2.0);
    (squares.clone() + squares.swap_dims(1, 2) - products).mul_scalar(1.0 / channels as f64)
}
