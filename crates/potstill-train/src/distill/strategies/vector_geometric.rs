//! Directions and lengths of vectors, compared separately.

use burn::tensor::Tensor;
use potstill_core::Result;
use serde::{Deserialize, Serialize};

use crate::distill::comparison::Comparison;
use crate::distill::groups::{Groups, column};
use crate::distill::kind::Kind;
use crate::distill::needs::FeatureNeeds;
use crate::distill::projection::{ProjectionKind, Side};
use crate::distill::strategy::Strategy;
use crate::distill::taps::TapNames;
use crate::distill::weight::{Weight, WeightSchedule};

/// Comparison of the directions and the lengths of the vector features of each atom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorGeometric {
    /// λ.
    pub weight: Weight,
    /// Change of the weight over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// Share of the direction in the loss; the rest is the length's. Default 0.5.
    #[serde(default = "half")]
    pub direction: f64,
    /// Tap of the teacher. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<TapNames>,
    /// Tap of the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<TapNames>,
    /// `"linear"` (default) or `"identity"` for equal widths.
    #[serde(default)]
    pub projection: ProjectionKind,
}

fn half() -> f64 {
    0.5
}

impl Strategy for VectorGeometric {
    fn name(&self) -> &'static str {
        "vector_geometric"
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
        match (0.0..=1.0).contains(&self.direction) {
            true => Ok(()),
            false => Err(format!("direction is {}; it must lie between 0 and 1", self.direction)),
        }
    }

    fn features(&self) -> Option<FeatureNeeds<'_>> {
        Some(FeatureNeeds {
            kind: Kind::Vector,
            teacher_tap: self.teacher_tap.as_ref(),
            student_tap: self.student_tap.as_ref(),
            projection: self.projection,
            side: Side::Student,
            any_width: false,
            shared: false,
        })
    }

    fn loss(&self, on: &Comparison<'_>) -> Result<Tensor<1>> {
        on.relation(|student, teacher, groups| loss(student, teacher, self.direction, groups))
    }
}

/// `direction · mean(1 − cos) + (1 − direction) · mean |‖s‖ − ‖t‖|`, over channels, atoms of a system and systems in turn.
///
/// A vector of length 0 has no direction: its cosine counts as 0, and it gets no gradient from the direction.
///
/// Shapes: `[n_atoms, 3·c]` twice, components before channels; `direction` lies in [0, 1].
pub(super) fn loss(student: Tensor<2>, teacher: Tensor<2>, direction: f64, groups: &Groups) -> Tensor<1> {
    let [n, width] = student.dims();
    let weights = column(groups.atom_weights(), &student);
    let channels = width / 3;
    let split = |x: Tensor<2>| x.reshape([n, 3, channels]);
    let (student, teacher) = (split(student), split(teacher));
    let dot: Tensor<3> = (student.clone() * teacher.clone()).sum_dim(1);
    let (ours, theirs) = (length(student), length(teacher));
    let product = ours.clone() * theirs.clone();
    // Filled before the division, so that no infinite gradient meets a zero.
    let nothing = product.clone().lower_equal_elem(1e-16);
    let cosine = (dot / product.mask_fill(nothing.clone(), 1.0)).mask_fill(nothing, 0.0);
    let directions = cosine.neg().add_scalar(1.0).mul_scalar(direction);
    let lengths = (ours - theirs).abs().mul_scalar(1.0 - direction);
    let each: Tensor<2> = (directions + lengths).reshape([n, channels]);
    (each.sum_dim(1) * weights).sum().mul_scalar(1.0 / channels as f64)
}

/// Length over the second axis, with gradient 0 where it is 0. Shape: `[n, 3, c]` to `[n, 1, c]`.
fn length(vectors: Tensor<3>) -> Tensor<3> {
    let squares = vectors.powi_scalar(2).sum_dim(1);
    let zero = squares.clone().equal_elem(0.0);
    squares.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}
