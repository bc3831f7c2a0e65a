//! The strategies: each is one variant of [`Term`], which is what a configuration can write.

use potstill_core::limits;
use serde::{Deserialize, Serialize};

use super::{Kind, Probes, ProjectionKind, TapNames, Weight, WeightSchedule};
use crate::loss::FeatureLoss;

/// One term of the loss. `weight` is the paper's λ, fixed or [`Weight::Auto`]; a term of weight 0 is left out altogether.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "snake_case", deny_unknown_fields)]
pub enum Term {
    /// Teacher energies and forces as extra targets, with the losses of the training section.
    Vanilla {
        /// Weight of the energies. Default 1.
        #[serde(default = "one")]
        energy_weight: f64,
        /// Weight of the forces. Default 100.
        #[serde(default = "hundred")]
        force_weight: f64,
        /// How both change over the run.
        #[serde(default)]
        schedule: WeightSchedule,
    },
    /// Energies of single atoms, with the energy loss of the training section.
    #[serde(alias = "pae")]
    AtomicEnergy {
        /// λ.
        weight: Weight,
        /// How it changes over the run.
        #[serde(default)]
        schedule: WeightSchedule,
    },
    /// Scalar features of each atom.
    #[serde(alias = "n2n")]
    NodeToNode(FeatureTerm),
    /// The teacher's edge features, summed at each atom, for the student's scalar features. A teacher without edge
    /// features shows its scalar ones.
    #[serde(alias = "e2n")]
    EdgeToNode(FeatureTerm),
    /// Features of each edge of the teacher's graph, on which a PaiNN student then runs while it trains.
    #[serde(alias = "e2e")]
    EdgeToEdge(FeatureTerm),
    /// Vector features of each atom.
    #[serde(alias = "v2v")]
    VectorToVector(FeatureTerm),
    /// Directions and lengths of the vector features of each atom, each by itself.
    VectorGeometric(GeometricTerm),
    /// How far an atom's features are from those of each neighbour, compared with its other neighbours.
    LocalPreservation(RelationTerm),
    /// Distances between the features of all pairs of atoms of a system.
    GlobalPreservation(RelationTerm),
    /// Centred kernel alignment of the features of a batch.
    Cka(RelationTerm),
    /// Derivatives of the forces along random directions.
    Hessian(HessianTerm),
}

fn one() -> f64 {
    1.0
}

fn hundred() -> f64 {
    100.0
}

fn half() -> f64 {
    0.5
}

fn hundredth() -> f64 {
    0.01
}

fn one_probe() -> usize {
    1
}

/// Settings of a term that compares derivatives of the forces along random directions, products of Hessian and direction, by
/// differences of two displaced copies of each system. The teacher is asked about them once; the student runs on both copies
/// in each step, which then takes about three times as long.
///
/// A. Rodriguez et al., *Projected Hessian Learning*, arXiv 2603.04523.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HessianTerm {
    /// λ.
    pub weight: Weight,
    /// How it changes over the run.
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

/// Whose features are projected to the width of the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The student's, so that the student must hold what the teacher holds. The default.
    #[default]
    Student,
    /// The teacher's; the projection may then learn to keep only what the student can follow.
    Teacher,
}

/// Settings of a term that compares features one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureTerm {
    /// λ.
    pub weight: Weight,
    /// How it changes over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// `"mse"` (default), `"mae"` or `{ huber = { delta = 1.0 } }`.
    #[serde(default)]
    pub loss: FeatureLoss,
    /// Where in the teacher, for example `"U6"`; of several, `["U3", "U6"]`, features stand side by side. Default: the last
    /// layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<TapNames>,
    /// Where in the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<TapNames>,
    /// `"linear"` (default) or `"mlp"`, trained with the student and then thrown away, or `"identity"` for equal widths.
    #[serde(default)]
    pub projection: ProjectionKind,
    /// `"student"` (default) or `"teacher"`: whose features are projected.
    #[serde(default)]
    pub project: Side,
    /// Whether the projection is that of the first term with the same features, taps and projection. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl FeatureTerm {
    /// All defaults with that weight.
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
}

/// Settings of a term that compares vectors by direction and length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeometricTerm {
    /// λ.
    pub weight: Weight,
    /// How it changes over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// Share of the direction in the loss; the rest is the length's. Default 0.5.
    #[serde(default = "half")]
    pub direction: f64,
    /// Where in the teacher. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<TapNames>,
    /// Where in the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<TapNames>,
    /// `"linear"` (default) or `"identity"` for equal widths.
    #[serde(default)]
    pub projection: ProjectionKind,
}

/// Which features a relation is about.
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
    /// How it changes over the run.
    #[serde(default)]
    pub schedule: WeightSchedule,
    /// `"node"` (default), `"edge"` or `"vector"`.
    #[serde(default)]
    pub of: Of,
    /// Where in the teacher. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<TapNames>,
    /// Where in the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<TapNames>,
    /// `"identity"` (default), `"linear"` or `"mlp"`.
    #[serde(default = "identity")]
    pub projection: ProjectionKind,
}

fn identity() -> ProjectionKind {
    ProjectionKind::Identity
}

/// How features are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Compare {
    /// One by one.
    Each(FeatureLoss),
    /// See [`compare::geometric`](super::compare::geometric); the share of the direction.
    Geometric(f64),
    /// See [`compare::local`](super::compare::local).
    Local,
    /// See [`compare::global`](super::compare::global).
    Global,
    /// See [`compare::cka`](super::compare::cka).
    Cka,
}

impl Compare {
    /// Whether student and teacher may have different widths.
    pub fn allows_any_width(self) -> bool {
        matches!(self, Self::Local | Self::Global | Self::Cka)
    }
}

/// What all terms that read features have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Feature {
    pub weight: Weight,
    pub teacher_tap: Option<TapNames>,
    pub student_tap: Option<TapNames>,
    pub projection: ProjectionKind,
    pub side: Side,
    pub compare: Compare,
    pub shared: bool,
}

impl Term {
    /// The settings of a term that reads features.
    pub(super) fn feature(&self) -> Option<Feature> {
        let relation = |term: &RelationTerm, compare| Feature {
            weight: term.weight,
            teacher_tap: term.teacher_tap.clone(),
            student_tap: term.student_tap.clone(),
            projection: term.projection,
            side: Side::Student,
            compare,
            shared: false,
        };
        match self {
            Self::Vanilla { .. } | Self::AtomicEnergy { .. } | Self::Hessian(_) => None,
            Self::NodeToNode(term) | Self::EdgeToNode(term) | Self::EdgeToEdge(term) | Self::VectorToVector(term) => {
                Some(Feature {
                    weight: term.weight,
                    teacher_tap: term.teacher_tap.clone(),
                    student_tap: term.student_tap.clone(),
                    projection: term.projection,
                    side: term.project,
                    compare: Compare::Each(term.loss),
                    shared: term.shared,
                })
            }
            Self::VectorGeometric(term) => Some(Feature {
                weight: term.weight,
                teacher_tap: term.teacher_tap.clone(),
                student_tap: term.student_tap.clone(),
                projection: term.projection,
                side: Side::Student,
                compare: Compare::Geometric(term.direction),
                shared: false,
            }),
            Self::LocalPreservation(term) => Some(relation(term, Compare::Local)),
            Self::GlobalPreservation(term) => Some(relation(term, Compare::Global)),
            Self::Cka(term) => Some(relation(term, Compare::Cka)),
        }
    }

    /// Which of the teacher's features the term reads.
    pub fn kind(&self) -> Kind {
        match self {
            Self::VectorToVector(_) | Self::VectorGeometric(_) => Kind::Vector,
            Self::EdgeToNode(_) => Kind::EdgeSum,
            Self::EdgeToEdge(_) => Kind::Edge,
            Self::LocalPreservation(term) | Self::GlobalPreservation(term) | Self::Cka(term) => match term.of {
                Of::Node => Kind::Node,
                Of::Edge => Kind::EdgeSum,
                Of::Vector => Kind::Vector,
            },
            Self::Vanilla { .. } | Self::AtomicEnergy { .. } | Self::NodeToNode(_) | Self::Hessian(_) => Kind::Node,
        }
    }

    /// Which derivatives of the forces the term compares.
    pub fn probes(&self) -> Option<Probes> {
        match self {
            Self::Hessian(term) => Some(Probes { step: term.step, n: term.probes }),
            _ => None,
        }
    }

    /// Name of the strategy, as configurations write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vanilla { .. } => "vanilla",
            Self::AtomicEnergy { .. } => "atomic_energy",
            Self::NodeToNode(_) => "node_to_node",
            Self::EdgeToNode(_) => "edge_to_node",
            Self::EdgeToEdge(_) => "edge_to_edge",
            Self::VectorToVector(_) => "vector_to_vector",
            Self::VectorGeometric(_) => "vector_geometric",
            Self::LocalPreservation(_) => "local_preservation",
            Self::GlobalPreservation(_) => "global_preservation",
            Self::Cka(_) => "cka",
            Self::Hessian(_) => "hessian",
        }
    }

    /// Whether the term adds anything.
    pub fn is_active(&self) -> bool {
        self.weights().iter().any(|w| w.number() > 0.0)
    }

    /// Whether the weight is found at the start of the run.
    pub fn has_auto_weight(&self) -> bool {
        self.weights().iter().any(|w| matches!(w, Weight::Auto(_)))
    }

    /// How the weight changes over the run.
    pub fn schedule(&self) -> WeightSchedule {
        match self {
            Self::Vanilla { schedule, .. } | Self::AtomicEnergy { schedule, .. } => *schedule,
            Self::NodeToNode(t) | Self::EdgeToNode(t) | Self::EdgeToEdge(t) | Self::VectorToVector(t) => t.schedule,
            Self::VectorGeometric(t) => t.schedule,
            Self::Hessian(t) => t.schedule,
            Self::LocalPreservation(t) | Self::GlobalPreservation(t) | Self::Cka(t) => t.schedule,
        }
    }

    fn weights(&self) -> Vec<Weight> {
        match self {
            Self::Vanilla { energy_weight, force_weight, .. } => vec![(*energy_weight).into(), (*force_weight).into()],
            Self::AtomicEnergy { weight, .. } => vec![*weight],
            Self::Hessian(term) => vec![term.weight],
            _ => self.feature().map(|f| f.weight).into_iter().collect(),
        }
    }

    /// The same term with its weights times `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut term = self.clone();
        match &mut term {
            Self::Vanilla { energy_weight, force_weight, .. } => {
                *energy_weight *= factor;
                *force_weight *= factor;
            }
            Self::AtomicEnergy { weight, .. } => *weight = weight.scaled(factor),
            Self::NodeToNode(t) | Self::EdgeToNode(t) | Self::EdgeToEdge(t) | Self::VectorToVector(t) => {
                t.weight = t.weight.scaled(factor);
            }
            Self::VectorGeometric(t) => t.weight = t.weight.scaled(factor),
            Self::Hessian(t) => t.weight = t.weight.scaled(factor),
            Self::LocalPreservation(t) | Self::GlobalPreservation(t) | Self::Cka(t) => {
                t.weight = t.weight.scaled(factor);
            }
        }
        term
    }

    /// Checks every number; the message says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(weight) =
            self.weights().iter().map(|w| w.number()).find(|w| !(0.0..=limits::LARGEST_WEIGHT).contains(w))
        {
            return Err(format!(
                "weight {weight} must be zero or a positive number up to {:e}",
                limits::LARGEST_WEIGHT
            ));
        }
        if let Self::VectorGeometric(GeometricTerm { direction, .. }) = self
            && !(0.0..=1.0).contains(direction)
        {
            return Err(format!("direction is {direction}; it must lie between 0 and 1"));
        }
        if let Some(probes) = self.probes() {
            probes.check()?;
        }
        let mlp = self.feature().is_some_and(|f| f.projection == ProjectionKind::Mlp);
        if mlp && self.kind() == Kind::Vector {
            return Err("projection = \"mlp\" would not rotate with the system; use \"linear\" for vectors".to_owned());
        }
        self.schedule().check()
    }
}
