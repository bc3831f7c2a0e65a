//! Progress of a training on standard error.

use potstill_train::distill::labelling::Origin;
use potstill_train::observer::{Observer, StepReport, ValidationReport, Weights};
use potstill_train::run::Prelude;

use crate::progress::Progress;

/// Says an event before the first step.
pub fn tell(event: Prelude) {
    match event {
        Prelude::References(energies, underdetermined) => {
            let list: Vec<String> = energies.iter().map(|(e, v)| format!("{e} {v:.4}")).collect();
            let note = if underdetermined { " (compositions leave a choice; totals are right)" } else { "" };
            say!("reference energies in eV: {}{note}", list.join(", "));
        }
        Prelude::IsolatedAtoms(n) => say!("{n} isolated atoms gave reference energies and are not trained on"),
        Prelude::Cache(Origin::Made, bytes) => say!("teacher cache: made, {bytes} bytes"),
        Prelude::Cache(Origin::Reused, bytes) => say!("teacher cache: reused, {bytes} bytes"),
        Prelude::Weights(weights) => {
            let list: Vec<String> = weights.iter().map(|(name, weight)| format!("{name} {weight:.4}")).collect();
            say!("weights of the terms: {}", list.join(", "));
        }
        Prelude::Waiting(what) => say!("waiting for the teacher cache: {what}"),
        Prelude::Note(note) => say!("{note}"),
        Prelude::Verified(bytes, seconds) => say!("teacher cache: {bytes} bytes verified in {seconds:.1} s"),
        Prelude::Labelling(done, total) => say!("asking the teacher: {done}/{total} systems"),
    }
}

/// Observer that shows steps and validations on standard error.
pub struct Watcher {
    name: String,
    progress: Option<Progress>,
    resumed_at: u64,
    resumed_seconds: Option<f64>,
    systems: usize,
}

impl Watcher {
    /// An observer of the training of that name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), progress: None, resumed_at: 0, resumed_seconds: None, systems: 0 }
    }
}

impl Observer for Watcher {
    fn start(&mut self, total_steps: u64, resumed_at: u64) {
        self.resumed_at = resumed_at;
        self.progress = Some(Progress::new(&self.name, total_steps));
        if resumed_at > 0 {
            say!("resumed after step {resumed_at}");
        }
    }

    fn step(&mut self, report: &StepReport) {
        let start = *self.resumed_seconds.get_or_insert(report.seconds);
        // The first step only starts the clock.
        let rate = if report.seconds > start { self.systems as f64 / (report.seconds - start) } else { 0.0 };
        if report.seconds >= start && report.step > self.resumed_at + 1 || self.systems > 0 {
            self.systems += report.n_systems;
        } else {
            self.systems = 1;
        }
        if let Some(progress) = &self.progress {
            progress.show(report.step, &format!("loss {:.4}  {rate:.0} systems/s", report.loss));
        }
    }

    fn validation(&mut self, report: &ValidationReport) {
        let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{:.2}", v * 1e3));
        let line = format!(
            "epoch {:>4}  step {:>7}  {:>6.0} s  validation: energy MAE {} meV, force MAE {} meV/Å{}{}",
            report.epoch,
            report.step,
            report.seconds,
            show(report.validation.energy_mae),
            show(report.validation.forces_mae),
            describe_other(report),
            if report.best { "  (best)" } else { "" }
        );
        match &self.progress {
            Some(progress) => progress.say(&line),
            None => say!("{line}"),
        }
    }
}

/// Describes the better weights, and by how much in the loss that decides by default.
fn describe_other(report: &ValidationReport) -> String {
    let name = |weights| if weights == Weights::Raw { "raw" } else { "averaged" };
    match &report.other {
        Some(other) => format!(
            "  {} weights (loss {:.4}; {} {:.4})",
            name(report.weights),
            report.validation_loss,
            name(other.weights),
            other.validation_loss
        ),
        None => String::new(),
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
    }
}
