//! The `[distill]` section of a configuration, and its checks.

use std::path::PathBuf;

use potstill_core::model::{Architecture, Forces};
use potstill_core::{Error, Precision, Result};
use serde::{Deserialize, Serialize};

use super::augmentation::Augmentation;
use super::compatibility::{check_vectors, check_widths};
use super::labels::LabelOptions;
use super::loss_id::Set;
use super::probes::Probes;
use super::questions::{Holds, Questions, Wanted};
use super::rounds::RoundsConfig;
use super::strategies::Term;
use super::taps;
use super::teacher::TeacherSource;

/// Teacher and strategies of a distillation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// Teacher; paths are relative to the configuration file. A model file (`.safetensors`); several of them, whose energies and
    /// forces are averaged while the first shows features; the folder of a cache; a file of labels in any format of a
    /// dataset, from any program; or a program that is started and asked,
    /// `{ command = ["python", "teacher.py"], timeout_seconds = 600 }`.
    pub teacher: TeacherSource,
    /// Options for reading a file of labels.
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
    /// Disturbed copies of the systems, about which the teacher is asked at every step. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// Rounds of labelling, training and looking for new structures. Default: none; the student is trained once, on the files
    /// of `[data]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundsConfig>,
}

fn is_default(options: &LabelOptions) -> bool {
    *options == LabelOptions::default()
}

impl DistillConfig {
    /// All defaults with this teacher and these terms.
    pub fn new(teacher: impl Into<PathBuf>, terms: Vec<Term>) -> Self {
        Self {
            teacher: TeacherSource::One(teacher.into()),
            labels: LabelOptions::default(),
            cache: None,
            feature_precision: Precision::F16,
            online: false,
            terms,
            augmentation: None,
            rounds: None,
        }
    }

    /// Checks weights and the student's taps.
    ///
    /// # Errors
    /// Names the term and what it may be.
    pub fn validate(&self, student: &Architecture) -> Result<()> {
        if let Some(rounds) = &self.rounds {
            rounds.validate()?;
        } else if self.terms.is_empty() && self.augmentation.is_none() {
            return Err(Error::setting(
                "distill.terms",
                "is empty; give at least one [[distill.terms]] with a strategy",
            ));
        }
        if let Some(augmentation) = &self.augmentation {
            augmentation.validate(student)?;
        }
        for (set, term) in self.all_terms() {
            let key = format!("{} ({})", set.section(), term.name());
            term.check().map_err(|message| Error::setting(&key, message))?;
            if let Some(needs) = term.features() {
                taps::resolve(&key, needs.student_tap, student, "student")?;
                check_vectors(&key, needs.kind, student, "student")?;
            }
            if term.strategy().virials() && term.is_active() && student.forces() != Forces::Gradient {
                let message = "compares stresses, and a student with direct forces has none; set stress_weight = 0";
                return Err(Error::setting(&key, message));
            }
            if term.probes().is_some() && set == Set::Copies {
                return Err(Error::setting(&key, "is not for copies; move it to distill.terms"));
            }
        }
        self.probes().map(|_| ())
    }

    /// Directions along which derivatives of the forces are compared.
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

    /// All terms with the systems of their section.
    fn all_terms(&self) -> impl Iterator<Item = (Set, &Term)> {
        let on_copies = self.augmentation.iter().flat_map(|a| &a.terms);
        self.terms.iter().map(|t| (Set::Systems, t)).chain(on_copies.map(|t| (Set::Copies, t)))
    }

    /// Checks every active term against the teacher's network, and collects the questions to it.
    ///
    /// # Errors
    /// A tap that the teacher does not have, features of a teacher without them, an identity projection between features of
    /// different widths.
    pub fn questions(&self, teacher: Option<&Architecture>, student: &Architecture) -> Result<Questions> {
        let virials = self.terms.iter().any(|term| term.is_active() && term.strategy().virials());
        let mut questions =
            Questions { features: Vec::new(), probes: self.probes()?, virials, precision: self.feature_precision };
        if let (Some(augmentation), Some(teacher)) = (&self.augmentation, teacher) {
            augmentation.check_teacher(teacher)?;
        }
        for (set, term) in self.all_terms().filter(|(_, t)| t.is_active()) {
            let Some(needs) = term.features() else { continue };
            let key = format!("{} ({})", set.section(), term.name());
            let Some(teacher) = teacher else {
                let message = "a teacher that is a program or a file of labels has no features; it offers vanilla, and \
                               atomic_energy where it has `atomic_energies`";
                return Err(Error::setting(key, message));
            };
            check_vectors(&key, needs.kind, teacher, "teacher")?;
            let theirs = taps::resolve(&key, needs.teacher_tap, teacher, "teacher")?;
            let ours = taps::resolve(&key, needs.student_tap, student, "student")?;
            check_widths(&key, &needs, (teacher, theirs.len()), (student, ours.len()))?;
            if set == Set::Systems {
                theirs.into_iter().for_each(|tap| Wanted::add(&mut questions.features, tap, &[needs.kind]));
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
            let Some(lacks) = term.strategy().lacking(holds) else { continue };
            return Err(Error::setting(format!("distill.terms ({})", term.name()), format!("the teacher has {lacks}")));
        }
        Ok(())
    }
}
