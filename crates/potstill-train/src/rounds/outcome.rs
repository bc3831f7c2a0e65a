//! Numbers of all rounds.

use std::path::PathBuf;

use potstill_core::Result;
use potstill_core::metrics::Metrics;
use potstill_data::dataset::Systems;
use potstill_data::io::LabelKeys;
use serde::{Deserialize, Serialize};

use super::Distillation;
use super::dynamics::DynamicsCheck;
use super::structures::{Found, read};
use super::survival::Survival;
use super::training::Stage;
use super::zero::{TeacherErrors, Zero};
use crate::evaluation::measure;

/// Result of a distillation in rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Shipped model.
    pub model: PathBuf,
    /// The trainings, in order.
    pub rounds: Vec<Round>,
    /// Errors of the teacher on real labels, where there are some.
    pub teacher: Option<TeacherErrors>,
    /// Structures of the teacher that all students are judged on.
    pub n_held_out: usize,
    /// Times that the teacher was asked, all together.
    pub n_calls: usize,
    /// Dynamics of the last student, beside those of its teacher.
    pub dynamics: DynamicsCheck,
}

/// Result of one training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// Name of the training.
    pub name: String,
    /// Structures that the teacher has labelled so far, those that validate included.
    pub n_labels: usize,
    /// What the structures of this round came from; none for the training on real labels.
    pub found: Option<Found>,
    /// Errors against the teacher, on structures of all rounds that none was trained on.
    pub against_teacher: Metrics,
    /// Errors against real labels of `data.validation`, where there are some.
    pub against_labels: Option<Metrics>,
    /// How the student of the round before survived its own dynamics, by temperature.
    pub survival: Vec<Survival>,
}

impl Distillation<'_> {
    /// Judges the students of all rounds on the same structures.
    pub(super) fn outcome(&self, zero: Option<Zero>, model: PathBuf, dynamics: DynamicsCheck) -> Result<Outcome> {
        let n = self.rounds.n;
        let mut held_out = Vec::new();
        for round in 1..=n {
            held_out.extend(read(&self.structures(round).validation())?);
        }
        let n_held_out = held_out.len();
        let held_out: Systems = held_out.into();
        let real = match self.job.config.data.validation.is_empty() {
            true => None,
            false => {
                let data = &self.job.config.data;
                let keys = LabelKeys { energy: data.energy_key.clone(), forces: data.forces_key.clone(), stress: None };
                Some(self.job.host.systems(&data.validation, &keys)?)
            }
        };
        let stages = (1..=n).map(Stage::Round).chain(self.fine_tunes().then_some(Stage::FineTuning));
        let (mut rounds, mut n_labels) = (Vec::new(), 0);
        let mut n_calls = dynamics.n_calls + zero.as_ref().map_or(0, |zero| zero.errors.n_systems);
        for stage in stages {
            let found = match stage {
                Stage::Round(round) => self.structures(round).found()?,
                Stage::FineTuning => None,
            };
            n_labels += found.as_ref().map_or(0, |found| found.n_train + found.n_validation);
            n_calls += found.as_ref().map_or(0, |found| found.n_calls);
            let student = self
                .job
                .host
                .potential(&self.job.out.join("rounds").join(stage.to_string()).join("model.safetensors"))?;
            let judge = |systems: &Systems| measure(student.as_ref(), systems, None, &mut |_, _| {}).map(|e| e.metrics);
            rounds.push(Round {
                name: stage.to_string(),
                n_labels,
                survival: found.as_ref().map(|found| Survival::of(&found.lifetimes)).unwrap_or_default(),
                found,
                against_teacher: judge(&held_out)?,
                against_labels: real.as_ref().map(judge).transpose()?,
            });
        }
        let teacher = zero.map(|zero| zero.errors);
        Ok(Outcome { model, rounds, teacher, n_held_out, n_calls, dynamics })
    }
}
