//! Knowledge distillation: which terms a student's loss gets from a teacher, and what they need.
//!
//! F. Ekström Kelvinius, D. Georgiev, A. P. Toshev, J. Gasteiger, *Accelerating Molecular Graph Neural Networks via
//! Knowledge Distillation*, NeurIPS 2023, arXiv 2306.14818. The student does not know: terms, projections and
//! targets live here and leave no trace in the shipped model.

pub mod cache;
pub mod projection;
pub mod terms;

use std::path::PathBuf;

use potstill_core::{Error, Result};
use potstill_nn::{Architecture, NetworkGraphRule, Tap};
use serde::{Deserialize, Serialize};

use crate::loss::FeatureLoss;
pub use cache::{Kind, Origin, Precision, TeacherCache, Wanted};
pub use projection::{Projection, ProjectionKind};

/// Teacher and strategies of a distillation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// Model file of the teacher; relative to the configuration file.
    pub teacher: PathBuf,
    /// Folder of the teacher's targets; made when absent, reused when it fits. Default: `teacher-cache` in the run folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Precision of cached features: `"f16"` (default), `"f32"` or `"f64"`.
    #[serde(default)]
    pub feature_precision: Precision,
    /// Terms that are added to the loss.
    pub terms: Vec<Term>,
}

/// One term of the loss. `weight` is the paper's λ; a term of weight 0 is left out altogether.
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
    },
    /// Energies of single atoms, with the energy loss of the training section.
    #[serde(alias = "pae")]
    AtomicEnergy {
        /// λ.
        weight: f64,
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
}

fn one() -> f64 {
    1.0
}

fn hundred() -> f64 {
    100.0
}

/// Settings of a term that compares features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureTerm {
    /// λ.
    pub weight: f64,
    /// `"mse"` (default), `"mae"` or `{ huber = { delta = 1.0 } }`.
    #[serde(default)]
    pub loss: FeatureLoss,
    /// Where in the teacher, for example `"U6"`. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_tap: Option<String>,
    /// Where in the student. Default: the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_tap: Option<String>,
    /// `"linear"` (default), trained with the student and then thrown away, or `"identity"` for equal widths.
    #[serde(default)]
    pub projection: ProjectionKind,
}

impl Term {
    /// The settings of a feature term.
    pub fn feature(&self) -> Option<&FeatureTerm> {
        match self {
            Self::NodeToNode(term) | Self::EdgeToNode(term) | Self::EdgeToEdge(term) | Self::VectorToVector(term) => {
                Some(term)
            }
            _ => None,
        }
    }

    /// Which of the teacher's features the term reads.
    pub fn kind(&self) -> Kind {
        match self {
            Self::VectorToVector(_) => Kind::Vector,
            Self::EdgeToNode(_) => Kind::EdgeSum,
            Self::EdgeToEdge(_) => Kind::Edge,
            _ => Kind::Node,
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
        }
    }

    /// Whether the term adds anything.
    pub fn is_active(&self) -> bool {
        self.weights().iter().any(|&w| w > 0.0)
    }

    fn weights(&self) -> Vec<f64> {
        match self {
            Self::Vanilla { energy_weight, force_weight } => vec![*energy_weight, *force_weight],
            Self::AtomicEnergy { weight } => vec![*weight],
            Self::NodeToNode(t) | Self::EdgeToNode(t) | Self::EdgeToEdge(t) | Self::VectorToVector(t) => vec![t.weight],
        }
    }
}

impl DistillConfig {
    /// Checks weights and the student's taps.
    ///
    /// # Errors
    /// Names the term and what it may be.
    pub fn validate(&self, student: &Architecture) -> Result<()> {
        if self.terms.is_empty() {
            return Err(Error::setting(
                "distill.terms",
                "is empty; give at least one [[distill.terms]] with a strategy",
            ));
        }
        for term in &self.terms {
            let key = format!("distill.terms ({})", term.name());
            if let Some(weight) = term.weights().iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
                return Err(Error::setting(key, format!("weight {weight} must be zero or a positive number")));
            }
            if let Some(feature) = term.feature() {
                resolve_tap(&key, feature.student_tap.as_deref(), student, "student")?;
                check_vectors(&key, term, student, "student")?;
            }
        }
        Ok(())
    }

    /// What the cache of this teacher must hold.
    ///
    /// # Errors
    /// A tap that the teacher does not have, vector features of a teacher without vectors, an identity projection between
    /// features of different widths.
    pub fn wanted(&self, teacher: &Architecture, student: &Architecture) -> Result<Vec<Wanted>> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for term in self.terms.iter().filter(|t| t.is_active()) {
            let Some(feature) = term.feature() else { continue };
            let key = format!("distill.terms ({})", term.name());
            check_vectors(&key, term, teacher, "teacher")?;
            check_widths(&key, term, teacher, student)?;
            let tap = resolve_tap(&key, feature.teacher_tap.as_deref(), teacher, "teacher")?;
            Wanted::add(&mut wanted, tap, &[term.kind()]);
        }
        Ok(wanted)
    }
}

/// How training graphs of a student are drawn: with edge features to compare, as its teacher's.
///
/// # Errors
/// Edges of the teacher that the student cannot run on.
pub fn training_rule(terms: &[Term], teacher: &Architecture, student: &Architecture) -> Result<NetworkGraphRule> {
    let own = student.graph_rule();
    if !terms.iter().any(|t| t.is_active() && t.kind() == Kind::Edge) {
        return Ok(own);
    }
    match (teacher.graph_rule(), own) {
        (NetworkGraphRule::GemNet(theirs), NetworkGraphRule::Pairs(_)) => Ok(NetworkGraphRule::MainOf(theirs)),
        (theirs, own) if theirs == own => Ok(own),
        (NetworkGraphRule::GemNet(theirs), NetworkGraphRule::GemNet(own))
            if theirs.cutoff == own.cutoff && theirs.max_neighbors == own.max_neighbors =>
        {
            Ok(NetworkGraphRule::GemNet(own))
        }
        _ => Err(Error::setting(
            "distill.terms (edge_to_edge)",
            "student and teacher draw different edges; give the student the teacher's cutoff and neighbors",
        )),
    }
}

/// The tap of that name, or the last one of the network.
pub(crate) fn resolve_tap(key: &str, name: Option<&str>, network: &Architecture, whose: &str) -> Result<Tap> {
    let taps = network.taps();
    let list = || taps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match name {
        None => taps.last().copied().ok_or_else(|| Error::setting(key, format!("the {whose} has no layer"))),
        Some(name) => {
            let tap = name.parse::<Tap>().ok().filter(|tap| taps.contains(tap));
            tap.ok_or_else(|| Error::setting(key, format!("the {whose} has no tap `{name}`; it has {}", list())))
        }
    }
}

fn check_widths(key: &str, term: &Term, teacher: &Architecture, student: &Architecture) -> Result<()> {
    let (ours, theirs) = (student_channels(term.kind(), student), teacher_channels(term.kind(), teacher));
    if term.feature().is_some_and(|f| f.projection == ProjectionKind::Identity) && ours != theirs {
        let message = format!(
            "projection = \"identity\" needs equal widths, but the student has {ours} channels and the teacher {theirs}; \
             use \"linear\""
        );
        return Err(Error::setting(key, message));
    }
    Ok(())
}

/// Channels of the teacher's features that a term reads.
fn teacher_channels(kind: Kind, teacher: &Architecture) -> usize {
    if kind == Kind::Node { teacher.node_channels() } else { cache::reduced_channels(teacher) }
}

/// Channels of the student's features that a term reads.
pub(crate) fn student_channels(kind: Kind, student: &Architecture) -> usize {
    match kind {
        Kind::Node | Kind::EdgeSum => student.node_channels(),
        Kind::Vector | Kind::Edge => cache::reduced_channels(student),
    }
}

fn check_vectors(key: &str, term: &Term, network: &Architecture, whose: &str) -> Result<()> {
    if matches!(term.kind(), Kind::Vector | Kind::Edge) && !network.has_vectors() {
        let message = format!(
            "a {} {whose} has no vector or edge features; it offers vanilla, atomic_energy, node_to_node and edge_to_node",
            network.name()
        );
        return Err(Error::setting(key, message));
    }
    Ok(())
}
