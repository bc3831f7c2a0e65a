//! Files of a run: the training state, the best weights, the shipped model.

use std::time::Instant;

use potstill_core::files::write_atomically;
use potstill_core::{Error, Result};

use super::Trainer;
use super::steps::mean_report;
use crate::journal::Covered;
use crate::observer::{Ending, Observer};
use crate::state::{self, Vectors};
use burn::tensor::Element;
use potstill_nn::Number;

impl<T: Number + Element> Trainer<'_, T> {
    /// Takes over the folder: documents and metrics of this run, and, where an old run is replaced, its first state.
    pub(super) fn enter_folder(&mut self) -> Result<()> {
        let folder = self.job.folder;
        let replaced = folder.enter(&self.job.documents)?;
        let covered = Covered {
            step: self.progress.step,
            has_line: self.progress.window.is_empty(),
            is_validated: self.just_validated(),
        };
        if let Some(journal) = &self.journal {
            journal.start(&covered, self.progress.seconds)?;
        }
        if let Some(replaced) = replaced {
            self.save()?;
            replaced.remove();
        }
        Ok(())
    }

    /// Saves the state, writes the shipped model.
    ///
    /// The state goes first: a longer run would not validate here, and must not remember it when it goes on.
    pub(super) fn close(&mut self, ending: Ending, observer: &mut dyn Observer) -> Result<()> {
        if !self.job.folder.is_entered() {
            self.enter_folder()?;
        }
        self.save()?;
        if ending == Ending::Interrupted || self.just_validated() {
            if let Some(line) = mean_report(&self.progress.window) {
                self.note_closing(&line)?;
            }
        } else if self.validate_to_close(observer)? {
            return Ok(());
        }
        let best = self.job.folder.best();
        match ending {
            Ending::Interrupted => Ok(()),
            _ if !self.job.folder.writes() => Ok(()),
            _ if best.exists() => {
                let bytes = std::fs::read(&best).map_err(|e| Error::io(&best, "cannot open", e))?;
                write_atomically(&self.job.folder.model(), |writer| writer.write_all(&bytes))
            }
            _ => Err(Error::Other(format!(
                "{}: no model to ship: no validation gave a finite number; lower training.learning_rate, or look at the \
                 validation systems",
                self.job.folder.path().display()
            ))),
        }
    }

    pub(super) fn save(&mut self) -> Result<()> {
        if !self.job.folder.writes() {
            return Ok(());
        }
        let vectors = Vectors {
            values: self.values.clone(),
            average: self.average.clone(),
            memory: self.optimizer.memory.clone(),
        };
        state::save(&self.job.folder.state(), &self.progress, &vectors)?;
        self.saved = Instant::now();
        Ok(())
    }

    pub(super) fn restore(&mut self) -> Result<()> {
        let path = self.job.folder.state();
        let (progress, vectors) = state::load::<T>(&path, self.values.len())?;
        self.job.identity.check(&progress).map_err(|message| Error::file(&path, message))?;
        self.values = vectors.values;
        self.average = vectors.average;
        self.optimizer.memory = vectors.memory;
        self.optimizer.memory.steps = progress.step;
        self.schedule.plateau = progress.plateau;
        self.seconds_before = progress.seconds;
        self.progress = progress;
        Ok(())
    }
}
