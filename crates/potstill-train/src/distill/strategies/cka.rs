//! Centred kernel alignment with linear kernels.
//!
//! S. Kornblith, M. Norouzi, H. Lee, G. Hinton, *Similarity of Neural Network Representations Revisited*, ICML 2019, arXiv
//! 1905.00414.

use burn::tensor::Tensor;
use potstill_core::Result;
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::groups::Groups;
use crate::distill::needs::FeatureNeeds;
use crate::distill::settings::RelationTerm;
use crate::distill::strategy::Strategy;
use crate::distill::weight::{Weight, WeightSchedule};

/// Centred kernel alignment of the features of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cka(pub RelationTerm);

impl Strategy for Cka {
    fn name(&self) -> &'static str {
        "cka"
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

/// `1 − CKA` over the atoms of the shard, times the shard's share of the batch's atoms. The widths of both may differ.
///
/// CKA is no mean over atoms. With one thread and a batch that needs no parts this is the CKA of the whole batch; otherwise
/// it is the mean over shards of theirs, so that this loss, unlike all others, depends on the number of threads.
///
/// Shapes: `[n_atoms, c]` and `[n_atoms, c']`.
pub(super) fn loss(student: Tensor<2>, teacher: Tensor<2>, groups: &Groups) -> Tensor<1> {
    let [n, _] = student.dims();
    if n == 0 {
        return Tensor::zeros([1], (&student.device(), student.dtype()));
    }
    alignment(student, teacher).neg().add_scalar(1.0).mul_scalar(n as f64 / groups.atoms)
}

/// `‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖)` of centred features; 0 where either is constant.
fn alignment(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    let (x, y) = (centred(x), centred(y));
    let square = |a: &Tensor<2>, b: &Tensor<2>| a.clone().transpose().matmul(b.clone()).powi_scalar(2).sum();
    let norms = square(&x, &x) * square(&y, &y);
    let nothing = norms.clone().lower_equal_elem(0.0);
    square(&y, &x) * norms.mask_fill(nothing.clone(), 1.0).sqrt().recip().mask_fill(nothing, 0.0)
}

fn centred(features: Tensor<2>) -> Tensor<2> {
    let n = features.dims()[0] as f64;
    let mean = features.clone().sum_dim(0).mul_scalar(1.0 / n);
    features - mean
}
