//! Results of trainings, and whether they are still those of the plan. When only the test systems or, for a student alone,
//! the teacher has changed, a training is judged again and not done again.

use std::path::PathBuf;

use potstill_core::{Error, Result};
use potstill_data::dataset::text_hash;
use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::judge::Judged;
use super::parity::Pairs;
use super::plan::{Cell, Choice, RESULT};
use crate::distill::TeacherSource;

/// File with the hash of the run that a folder is about.
pub(super) const MARK: &str = "fingerprint";
/// File with predictions beside labels.
pub(super) const PARITY: &str = "parity.json";
/// File with the similarity of features.
pub(super) const SIMILARITY: &str = "similarity.json";
/// Results of a cell, which go with its run.
pub(super) const RESULTS: [&str; 3] = [RESULT, PARITY, SIMILARITY];

/// Result of one training, as `result.json` holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellResult {
    /// Hash of the training and of what it was judged on; another one means another result.
    pub fingerprint: String,
    /// Loss on the validation systems, by which weights and checkpoints are chosen.
    pub validation_loss: Option<f64>,
    /// Errors on the test sets, in their order, and speed; none for a trial.
    pub judged: Vec<Judged>,
    /// Trained parameters that are shipped.
    pub n_parameters: usize,
    /// Optimisation steps.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// Layout of results; a number for each that there has been.
const FORMAT: u32 = 2;

/// A result of any layout.
#[derive(Deserialize)]
struct Marked {
    fingerprint: String,
}

impl Bench<'_> {
    /// Hash of everything that the training of a cell depends on.
    pub(super) fn fingerprint(&self, cell: &Cell) -> String {
        let mut config = cell.config.clone();
        // The place of files does not matter; data of the student count by their contents.
        if self.is_usual(cell) {
            config.data.train.clear();
            config.data.validation.clear();
        }
        if let (Some(distill), None) = (&mut config.distill, &self.study.runs[cell.run].teacher) {
            distill.teacher = TeacherSource::One(PathBuf::new());
        }
        let text = serde_json::to_string(&config).unwrap_or_default();
        let teacher = if config.distill.is_some() { self.teacher.hash() } else { String::new() };
        text_hash(&format!("{}{text}{}{teacher}", env!("CARGO_PKG_VERSION"), self.data_hash(cell.student)))
    }

    /// Hash of everything that the result of a cell depends on: the training, and what it is judged on.
    pub(super) fn fingerprint_of_result(&self, cell: &Cell) -> String {
        // Students alone are judged against the teacher, too.
        text_hash(&format!("{FORMAT}{}{}{}", self.fingerprint(cell), self.test_hash, self.teacher.hash()))
    }

    /// Result of a cell, if it is that of the same run.
    ///
    /// # Errors
    /// A file that is no result.
    pub fn result(&self, cell: &Cell) -> Result<Option<CellResult>> {
        let path = self.folder(cell).join(RESULT);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        let unreadable = |e| Error::file(&path, format!("{e}; delete this file to judge the run again"));
        let marked: Marked = serde_json::from_str(&text).map_err(unreadable)?;
        match marked.fingerprint == self.fingerprint_of_result(cell) {
            true => serde_json::from_str(&text).map(Some).map_err(unreadable),
            false => Ok(None),
        }
    }

    /// Predictions of a cell beside the labels of the test systems, if they were written.
    pub fn pairs(&self, cell: &Cell) -> Option<Pairs> {
        let text = std::fs::read_to_string(self.folder(cell).join(PARITY)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Choice whose trial has the lowest loss on the validation systems, for a student and a run.
    ///
    /// # Errors
    /// Results that cannot be read, and trials without validation systems.
    pub fn chosen(&self, trials: &[Cell], student: usize, run: usize) -> Result<Option<Choice>> {
        let mut best: Option<(f64, &Choice)> = None;
        for trial in trials.iter().filter(|c| c.student == student && c.run == run) {
            let Some(result) = self.result(trial)? else { continue };
            let none = || Error::setting(self.name(trial), "tuning needs validation systems (data.validation)");
            let loss = result.validation_loss.ok_or_else(none)?;
            if let Some(choice) = trial.choice.as_ref().filter(|_| best.is_none_or(|(least, _)| loss < least)) {
                best = Some((loss, choice));
            }
        }
        Ok(best.map(|(_, choice)| choice.clone()))
    }
}
