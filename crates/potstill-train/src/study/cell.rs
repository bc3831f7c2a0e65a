//! One training of a study, and what is kept of it.

use burn::tensor::DType;
use potstill_core::Result;
use potstill_core::files::{remove_stale_temporaries, write_atomically};
use potstill_core::ranks::Alone;
use potstill_nn::Model;
use potstill_nn::device::cpu;

use super::bench::{Bench, Layout};
use super::plan::{Cell, RESULT};
use super::result::{CellResult, MARK, PARITY, RESULTS};
use crate::evaluation::n_parameters;
use crate::folder::{RunFolder, Start};
use crate::host::CellEvent;
use crate::observer::{Ending, Silent};
use crate::run::{Surroundings, train_on};
use crate::trainer::Summary;

impl Bench<'_> {
    /// Trains and judges one cell, unless that is done. A `quiet` one runs beside others.
    pub(super) fn run_cell(&self, cell: &Cell, name: &str, quiet: bool) -> Result<()> {
        if self.place.layout == Layout::Grid && self.result(cell)?.is_some() {
            // What is found out about a finished run is written later, and may have been interrupted.
            let _ = remove_stale_temporaries(&self.folder(cell));
            self.host.cell(name, CellEvent::DoneAlready);
            return Ok(());
        }
        let summary = self.train(cell, name, quiet)?;
        if summary.ending == Ending::Interrupted {
            return Ok(());
        }
        let model = Model::load(&summary.model, &cpu(), DType::F32)?;
        // Trials of weights must not see the test systems.
        let judged = match cell.is_trial {
            true => None,
            false => Some(self.judge(&summary.model, &format!("{name}: evaluating"))?),
        };
        let (judged, pairs) = judged.unzip();
        let result = CellResult {
            fingerprint: self.fingerprint_of_result(cell),
            validation_loss: model.header().training["validation_loss"].as_f64(),
            judged: judged.unwrap_or_default(),
            n_parameters: n_parameters(&model),
            steps: summary.steps,
            seconds: summary.seconds,
        };
        let folder = self.folder(cell);
        if let Some(pairs) = pairs {
            write_atomically(&folder.join(PARITY), |writer| Ok(serde_json::to_writer(writer, &pairs)?))?;
        }
        write_atomically(&folder.join(RESULT), |writer| Ok(serde_json::to_writer_pretty(writer, &result)?))?;
        if quiet {
            self.host.cell(name, CellEvent::Done { steps: result.steps, seconds: result.seconds });
        }
        Ok(())
    }

    /// Trains a cell, or goes on where an earlier command left it.
    fn train(&self, cell: &Cell, name: &str, quiet: bool) -> Result<Summary> {
        let mut config = cell.config.clone();
        if let (Some(distill), Layout::Grid) = (&mut config.distill, self.place.layout) {
            // The shared cache is complete: cells that run side by side only read it.
            distill.cache = self.shares_cache(cell).then(|| self.cache_folder(cell.student));
        }
        let folder = self.folder(cell);
        let fingerprint = self.fingerprint(cell);
        let known = std::fs::read_to_string(folder.join(MARK)).ok();
        // A cell that was killed before its first checkpoint has left its mark alone.
        let goes_on = self.place.layout == Layout::Grid
            && known.as_deref() == Some(&fingerprint)
            && folder.join("checkpoints/last.safetensors").exists();
        let start = if goes_on { Start::Resume } else { Start::Replace };
        let run = RunFolder::open(&folder, start)?.with_document(MARK, &fingerprint).replacing(&RESULTS);
        let data = match self.is_usual(cell) {
            true => self.data(cell.student).clone(),
            false => self.host.data(&cell.config.data)?,
        };
        let tell = |event| {
            if !quiet {
                self.host.prelude(event);
            }
        };
        let surroundings = Surroundings {
            device: self.host.device(),
            ranks: &Alone,
            folder: &run,
            interrupt: self.interrupt,
            tell: &tell,
        };
        match quiet {
            true => train_on(surroundings, &config, data, &mut Silent),
            false => train_on(surroundings, &config, data, &mut *self.host.observer(name)),
        }
    }
}
