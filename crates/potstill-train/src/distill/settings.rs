//! Settings that several strategies share.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::needs::FeatureNeeds;
use super::projection::{ProjectionKind, Side};
use super::taps::TapNames;
use super::weight::{Weight, WeightSchedule};
use crate::loss::FeatureLoss;

/// Settings of a term that compares features element by element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureTerm {
    /// λ.
    pub weight: Weight,
    /// Change of the weight over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// `"mse"` (default), `"mae"` or `{ huber = { delta = 1.0 } }`.
    #[serde(default)]
    pub loss: FeatureLoss,
    /// Tap of the teacher, for example `"U6"`; features of several, `["U3", "U6"]`, stand side by side. Default: the last
    /// layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<TapNames>,
    /// Tap of the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<TapNames>,
    /// `"linear"` (default) or `"mlp"`, trained with the student and then thrown away, or `"identity"` for equal widths.
    #[serde(default)]
    pub projection: ProjectionKind,
    /// Network whose features are projected: `"student"` (default) or `"teacher"`.
    #[serde(default)]
    pub project: Side,
    /// Whether the projection is that of the first term with the same features, taps and projection. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl FeatureTerm {
    /// All defaults with this weight.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self {
            weight: weight.into(),
            schedule: WeightSchedule::default(),
            loss: FeatureLoss::default(),
            teacher_tap: None,
            student_tap: None,
            projection: ProjectionKind::default(),
            project: Side::default(),
            shared: false,
        }
    }

    /// Features of that kind at these taps.
    pub fn needs(&self, kind: Kind) -> FeatureNeeds<'_> {
        FeatureNeeds {
            kind,
            teacher_tap: self.teacher_tap.as_ref(),
            student_tap: self.student_tap.as_ref(),
            projection: self.projection,
            side: self.project,
            any_width: false,
            shared: self.shared,
        }
    }
}

/// Features that a relation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Scalar features of each atom. The default.
    #[default]
    Node,
    /// The teacher's edge features, summed at each atom, and the student's scalar ones.
    Edge,
    /// Vector features of each atom.
    Vector,
}

/// Settings of a term that compares relations between features, for which widths need not agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationTerm {
    /// λ.
    pub weight: Weight,
    /// Change of the weight over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// `"node"` (default), `"edge"` or `"vector"`.
    #[serde(default)]
    pub of: Of,
    /// Tap of the teacher. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<TapNames>,
    /// Tap of the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<TapNames>,
    /// `"identity"` (default), `"linear"` or `"mlp"`.
    #[serde(default = "identity")]
    pub projection: ProjectionKind,
}

fn identity() -> ProjectionKind {
    ProjectionKind::Identity
}

impl RelationTerm {
    /// All defaults with this weight.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self {
            weight: weight.into(),
            schedule: WeightSchedule::default(),
            of: Of::default(),
            teacher_tap: None,
            student_tap: None,
            projection: ProjectionKind::Identity,
        }
    }

    /// Features between which the relation holds.
    pub fn needs(&self) -> FeatureNeeds<'_> {
        let kind = match self.of {
            Of::Node => Kind::Node,
            Of::Edge => Kind::EdgeSum,
            Of::Vector => Kind::Vector,
        };
        FeatureNeeds {
            kind,
            teacher_tap: self.teacher_tap.as_ref(),
            student_tap: self.student_tap.as_ref(),
            projection: self.projection,
            side: Side::Student,
            any_width: true,
            shared: false,
        }
    }
}
