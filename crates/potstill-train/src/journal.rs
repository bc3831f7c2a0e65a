//! Progress of a run in files: `metrics.jsonl`, and its numbers for TensorBoard.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use potstill_core::files::write_atomically;
use potstill_core::{Error, Result};
use serde_json::Value;

use crate::events;

/// Name of the event file: TensorBoard looks for `tfevents`.
pub const EVENTS: &str = "events.out.tfevents.potstill";
/// Name of the file of lines.
pub const METRICS: &str = "metrics.jsonl";

/// Key of lines that only the end of a part of a run has.
const CLOSING: &str = "closing";

/// Lines that belong to a training state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Steps that the state has done.
    pub step: u64,
    /// Whether steps up to the last one are in a line already, and not in the state.
    pub has_line: bool,
    /// Whether the state was saved after the validation of that step.
    pub is_validated: bool,
}

impl Covered {
    fn holds(&self, line: &Value) -> bool {
        let is_last = match line["validation_loss"].is_null() {
            true => self.has_line,
            false => self.is_validated,
        };
        let step = line["step"].as_u64();
        line[CLOSING].is_null() && step.is_some_and(|step| step < self.step || (step == self.step && is_last))
    }
}

/// The lines of a run, one JSON object each.
#[derive(Debug)]
pub struct Journal {
    metrics: PathBuf,
    events: PathBuf,
    /// Names of the distillation terms.
    terms: Vec<String>,
}

impl Journal {
    /// Journal in the folder of a run.
    pub fn new(folder: &Path, terms: &[String]) -> Self {
        Self { metrics: folder.join(METRICS), events: folder.join(EVENTS), terms: terms.to_vec() }
    }

    /// Drops lines that a stopped or killed run made after its last checkpoint and will make again.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn start(&self, covered: &Covered, seconds: f64) -> Result<()> {
        // What an earlier run left may not be this run's.
        if self.events.exists() {
            std::fs::remove_file(&self.events).map_err(|e| Error::io(&self.events, "cannot replace", e))?;
        }
        let Ok(text) = std::fs::read_to_string(&self.metrics) else { return Ok(()) };
        let kept: Vec<(&str, Value)> = text
            .lines()
            .filter_map(|line| Some((line, serde_json::from_str::<Value>(line).ok()?)))
            .filter(|(_, value)| covered.holds(value))
            .collect();
        write_atomically(&self.metrics, |writer| kept.iter().try_for_each(|(line, _)| writeln!(writer, "{line}")))?;
        if kept.is_empty() {
            return Ok(());
        }
        // TensorBoard cannot take back what it was told: it gets a new file.
        let zero = now() - seconds;
        write_atomically(&self.events, |writer| {
            events::write_head(writer, zero)?;
            kept.iter().try_for_each(|(_, value)| self.event(writer, zero, value))
        })
    }

    /// Appends a line; `seconds` since the start, over all parts of the run.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write(&self, line: &impl serde::Serialize) -> Result<()> {
        self.append(self.value(line)?)
    }

    /// Appends a line that a longer run would not have, and drops when it goes on.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_closing(&self, line: &impl serde::Serialize) -> Result<()> {
        let mut value = self.value(line)?;
        if let Some(line) = value.as_object_mut() {
            line.insert(CLOSING.to_owned(), true.into());
        }
        self.append(value)
    }

    fn value(&self, line: &impl serde::Serialize) -> Result<Value> {
        serde_json::to_value(line).map_err(|e| Error::file(&self.metrics, e.to_string()))
    }

    fn append(&self, value: Value) -> Result<()> {
        append(&self.metrics, format!("{value}\n").as_bytes())?;
        let is_new = !self.events.exists();
        let zero = now() - value["seconds"].as_f64().unwrap_or(0.0);
        let mut bytes = Vec::new();
        let written = match is_new {
            true => events::write_head(&mut bytes, zero),
            false => Ok(()),
        };
        let written = written.and_then(|()| self.event(&mut bytes, zero, &value));
        written.map_err(|e| Error::io(&self.events, "cannot write", e))?;
        // One call, so that a reader never sees half a record.
        append(&self.events, &bytes)
    }

    fn event(&self, writer: &mut (impl Write + ?Sized), zero: f64, value: &Value) -> std::io::Result<()> {
        let step = value["step"].as_u64().unwrap_or(0);
        let time = zero + value["seconds"].as_f64().unwrap_or(0.0);
        events::write_scalars(writer, time, step, &self.scalars(value))
    }

    /// The numbers of a line with the names under which they are drawn.
    fn scalars(&self, value: &Value) -> Vec<(String, f64)> {
        let mut scalars = Vec::new();
        let mut add = |tag: String, value: &Value| scalars.extend(value.as_f64().map(|number| (tag, number)));
        for key in ["loss", "energy_loss", "force_loss", "stress_loss", "learning_rate", "gradient_norm", "n_rejected"]
        {
            add(format!("train/{key}"), &value[key]);
        }
        for (k, name) in self.terms.iter().enumerate() {
            add(format!("distill/{}", name.replace(": ", "/")), &value["distill_losses"][k]);
        }
        add("validation/loss".to_owned(), &value["validation_loss"]);
        for key in ["energy_mae", "forces_mae", "forces_cos", "stress_mae", "efwt"] {
            add(format!("validation/{key}"), &value["validation"][key]);
        }
        scalars
    }
}

/// Adds to a file; a new one appears with its first bytes in it, whenever the process is killed.
fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    if !path.exists() {
        return write_atomically(path, |writer| writer.write_all(bytes));
    }
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|e| Error::io(path, "cannot write", e))
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_scalars_and_later_ones_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), &["vanilla".to_owned(), "copies: cka".to_owned()]);
        let line = |step: u64| {
            serde_json::json!({
                "step": step, "seconds": step as f64, "loss": 2.0, "energy_loss": 0.5, "distill_losses": [1.0, 0.25],
            })
        };
        let scalars = journal.scalars(&line(1));
        let names: Vec<&str> = scalars.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["train/loss", "train/energy_loss", "distill/vanilla", "distill/copies/cka"]);
        let validation = serde_json::json!({ "step": 3, "validation_loss": 0.1, "validation": { "energy_mae": 0.2 } });
        assert_eq!(journal.scalars(&validation).len(), 2);

        journal.start(&Covered { step: 0, has_line: false, is_validated: false }, 0.0).unwrap();
        assert!(!folder.path().join(EVENTS).exists(), "a run that makes no step leaves nothing");
        (1..5).for_each(|step| journal.write(&line(step)).unwrap());
        let length = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        let whole = [length(METRICS), length(EVENTS)];
        journal.start(&Covered { step: 3, has_line: true, is_validated: false }, 3.0).unwrap();
        let shortened = [length(METRICS), length(EVENTS)];
        assert!(shortened[0] < whole[0] && shortened[1] < whole[1], "{shortened:?} {whole:?}");
        journal.write(&line(4)).unwrap();
        assert_eq!([length(METRICS), length(EVENTS)], whole);
    }

    #[test]
    fn lines_that_will_be_made_again_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), &[]);
        let step = |step: u64| serde_json::json!({ "step": step, "seconds": 1.0, "loss": 2.0 });
        let validation = |step: u64| serde_json::json!({ "step": step, "seconds": 1.0, "validation_loss": 0.5 });
        let kept = |has_line, is_validated| {
            std::fs::write(folder.path().join(METRICS), "").unwrap();
            [step(4), validation(4), step(8), validation(8)].iter().for_each(|line| journal.write(line).unwrap());
            journal.write_closing(&validation(8)).unwrap();
            journal.start(&Covered { step: 8, has_line, is_validated }, 1.0).unwrap();
            std::fs::read_to_string(folder.path().join(METRICS)).unwrap().lines().count()
        };
        assert_eq!([kept(false, false), kept(true, false), kept(false, true), kept(true, true)], [2, 3, 3, 4]);
    }
}
