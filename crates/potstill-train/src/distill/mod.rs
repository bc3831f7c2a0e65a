//! Knowledge distillation: which terms a student's loss gets from a teacher, and what they need.
//!
//! F. Ekström Kelvinius, D. Georgiev, A. P. Toshev, J. Gasteiger, *Accelerating Molecular Graph Neural Networks via
//! Knowledge Distillation*, NeurIPS 2023, arXiv 2306.14818. The student does not know: terms, projections and
//! targets live here and leave no trace in the shipped model.

pub mod cache;
pub mod compare;
mod labels;
mod probes;
pub mod projection;
mod taps;
pub mod targets;
pub mod teacher;
mod term;
pub mod terms;
mod weight;

use std::path::PathBuf;

use potstill_core::graph::NetworkGraphRule;
use potstill_core::model::Architecture;
use potstill_core::{Error, Precision, Result};
use serde::{Deserialize, Serialize};

use self::term::Feature;
use crate::augment::Augmentation;

pub use cache::{Holds, Kind, Origin, Questions, TeacherCache, Wanted};
pub use labels::LabelOptions;
pub use probes::Probes;
pub use projection::{Projection, ProjectionKind};
pub use taps::TapNames;
pub use teacher::{Teacher, TeacherFiles};
pub use term::{Compare, FeatureTerm, GeometricTerm, HessianTerm, Of, RelationTerm, Side, Term};
pub use weight::{Weight, WeightSchedule};

/// Teacher and strategies of a distillation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// Who teaches; relative to the configuration file. A model file (`.safetensors`); several of them, whose energies and
    /// forces are averaged while the first shows features; the folder of a cache; or a file of labels in any format of a
    /// dataset, from any program.
    pub teacher: TeacherFiles,
    /// How a file of labels is read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: LabelOptions,
    /// Folder of the teacher's targets; made when absent, reused when it fits. Default: `teacher-cache` in the run folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Precision of cached features: `"f16"` (default), `"f32"` or `"f64"`.
    #[serde(default = "Precision::of_features")]
    pub feature_precision: Precision,
    /// Whether the teacher is asked at every step instead of once: slower, and nothing is written to disk. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub online: bool,
    /// Terms that are added to the loss.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// Disturbed copies of the systems, on which the teacher is asked at every step. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

fn is_default(options: &LabelOptions) -> bool {
    *options == LabelOptions::default()
}

impl DistillConfig {
    /// All defaults with that teacher and those terms.
    pub fn new(teacher: impl Into<PathBuf>, terms: Vec<Term>) -> Self {
        Self {
            teacher: TeacherFiles::One(teacher.into()),
            labels: LabelOptions::default(),
            cache: None,
            feature_precision: Precision::F16,
            online: false,
            terms,
            augmentation: None,
        }
    }

    /// Checks weights and the student's taps.
    ///
    /// # Errors
    /// Names the term and what it may be.
    pub fn validate(&self, student: &Architecture) -> Result<()> {
        if self.terms.is_empty() && self.augmentation.is_none() {
            return Err(Error::setting(
                "distill.terms",
                "is empty; give at least one [[distill.terms]] with a strategy",
            ));
        }
        if let Some(augmentation) = &self.augmentation {
            augmentation.validate(student)?;
        }
        for (section, term) in self.all_terms() {
            let key = format!("{section} ({})", term.name());
            term.check().map_err(|message| Error::setting(&key, message))?;
            if let Some(feature) = term.feature() {
                taps::resolve(&key, feature.student_tap.as_ref(), student, "student")?;
                check_vectors(&key, term, student, "student")?;
            }
            if matches!(term, Term::Hessian(_)) && section != "distill.terms" {
                return Err(Error::setting(&key, "is not for copies; move it to distill.terms"));
            }
        }
        self.probes().map(|_| ())
    }

    /// Along which directions derivatives of the forces are compared.
    ///
    /// # Errors
    /// Terms that want different ones.
    pub fn probes(&self) -> Result<Option<Probes>> {
        let mut all = self.terms.iter().filter(|term| term.is_active()).filter_map(Term::probes);
        let first = all.next();
        match first.is_some_and(|first| all.any(|other| other != first)) {
            true => {
                let message = "several terms want different steps or probes; give them the same";
                Err(Error::setting("distill.terms (hessian)", message))
            }
            false => Ok(first),
        }
    }

    /// Whether any term adds anything.
    pub fn is_active(&self) -> bool {
        self.all_terms().any(|(_, term)| term.is_active())
    }

    /// Whether the teacher is needed during the steps.
    pub fn needs_live_teacher(&self) -> bool {
        self.online || self.augmentation.is_some()
    }

    /// All terms with the section that they stand in.
    fn all_terms(&self) -> impl Iterator<Item = (&'static str, &Term)> {
        let on_copies = self.augmentation.iter().flat_map(|a| &a.terms);
        self.terms.iter().map(|t| ("distill.terms", t)).chain(on_copies.map(|t| ("distill.augmentation.terms", t)))
    }

    /// Checks every active term against the teacher's network, and says what it must be asked.
    ///
    /// # Errors
    /// A tap that the teacher does not have, features of a teacher without them, an identity projection between features of
    /// different widths.
    pub fn questions(&self, teacher: Option<&Architecture>, student: &Architecture) -> Result<Questions> {
        let mut questions =
            Questions { features: Vec::new(), probes: self.probes()?, precision: self.feature_precision };
        if let (Some(augmentation), Some(teacher)) = (&self.augmentation, teacher) {
            augmentation.check_teacher(teacher)?;
        }
        for (section, term) in self.all_terms().filter(|(_, t)| t.is_active()) {
            let Some(feature) = term.feature() else { continue };
            let key = format!("{section} ({})", term.name());
            let Some(teacher) = teacher else {
                let message = "a teacher that is a file of labels has no features; it offers vanilla, and atomic_energy where \
                               it has `atomic_energies`";
                return Err(Error::setting(key, message));
            };
            check_vectors(&key, term, teacher, "teacher")?;
            let theirs = taps::resolve(&key, feature.teacher_tap.as_ref(), teacher, "teacher")?;
            let ours = taps::resolve(&key, feature.student_tap.as_ref(), student, "student")?;
            check_widths(&key, term, (teacher, theirs.len()), (student, ours.len()))?;
            if section == "distill.terms" {
                theirs.into_iter().for_each(|tap| Wanted::add(&mut questions.features, tap, &[term.kind()]));
            }
        }
        Ok(questions)
    }

    /// Checks that a teacher has the labels that terms on the systems compare with.
    ///
    /// # Errors
    /// Names the term and what the teacher lacks.
    pub fn check_holds(&self, holds: Holds) -> Result<()> {
        for term in self.terms.iter().filter(|term| term.is_active()) {
            let lacks = match term {
                Term::Vanilla { energy_weight, .. } if *energy_weight > 0.0 && !holds.energy => {
                    "no energies for all systems; set energy_weight = 0"
                }
                Term::Vanilla { force_weight, .. } if *force_weight > 0.0 && !holds.forces => {
                    "no forces for all systems; set force_weight = 0"
                }
                Term::AtomicEnergy { .. } if !holds.atomic_energies => {
                    "no energies of atoms for all systems (`atomic_energies`); leave this term out"
                }
                _ => continue,
            };
            return Err(Error::setting(format!("distill.terms ({})", term.name()), format!("the teacher has {lacks}")));
        }
        Ok(())
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
            "student and teacher draw different edges; give the student the teacher's cutoff and neighbors, or use what this pair \
             offers: vanilla, atomic_energy, node_to_node, edge_to_node, vector_to_vector, vector_geometric, hessian, \
             local_preservation, global_preservation and cka",
        )),
    }
}

/// Both networks come with the number of taps that are read.
fn check_widths(
    key: &str,
    term: &Term,
    (teacher, n_theirs): (&Architecture, usize),
    (student, n_ours): (&Architecture, usize),
) -> Result<()> {
    let ours = n_ours * student_channels(term.kind(), student);
    let theirs = n_theirs * teacher_channels(term.kind(), teacher);
    let needs_equal = |f: &Feature| f.projection == ProjectionKind::Identity && !f.compare.allows_any_width();
    if term.feature().is_some_and(|f| needs_equal(&f)) && ours != theirs {
        let message = format!(
            "projection = \"identity\" needs equal widths, but the student has {ours} channels and the teacher {theirs}; \
             use \"linear\""
        );
        return Err(Error::setting(key, message));
    }
    Ok(())
}

/// Channels of the teacher's features at a tap.
fn teacher_channels(kind: Kind, teacher: &Architecture) -> usize {
    if kind == Kind::Node { teacher.node_channels() } else { cache::reduced_channels(teacher) }
}

/// Channels of the student's features at a tap.
pub(crate) fn student_channels(kind: Kind, student: &Architecture) -> usize {
    match kind {
        Kind::Node | Kind::EdgeSum => student.node_channels(),
        Kind::Vector | Kind::Edge => cache::reduced_channels(student),
    }
}

fn check_vectors(key: &str, term: &Term, network: &Architecture, whose: &str) -> Result<()> {
    if matches!(term.kind(), Kind::Vector | Kind::Edge) && !network.has_vectors() {
        let message = format!(
            "a {} {whose} has no vector or edge features; it offers vanilla, atomic_energy, node_to_node, edge_to_node, \
             hessian, and local_preservation, global_preservation and cka of nodes",
            network.name()
        );
        return Err(Error::setting(key, message));
    }
    Ok(())
}
