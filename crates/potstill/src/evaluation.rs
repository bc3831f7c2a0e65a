//! Measuring a model on labelled systems.

use std::borrow::Cow;
use std::time::Instant;

use anyhow::{Result, bail};
use potstill_core::metrics::{Evaluator, Metrics};
use potstill_core::model::ElementEnergies;
use potstill_core::system::Value;
use potstill_core::{Potential, Prediction, System};
use potstill_data::dataset::{Baseline, Shortfall, Systems};
use potstill_data::evaluation::{ATOMS_PER_BATCH, evaluate_each};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;

/// Metrics and throughput, as `evaluate --json` prints them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// Errors in eV and Å.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Systems per second, neighbour search included.
    pub systems_per_second: f64,
    /// Errors of the constant predictor, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Metrics>,
}

/// The group of a system, by a metadata key.
fn group_of(system: &System, key: &str) -> String {
    system.metadata.get(key).map_or_else(|| "(none)".to_owned(), Value::to_string)
}

impl Evaluation {
    /// Adds the errors of a predictor that knows the model's reference energies alone.
    ///
    /// # Errors
    /// Systems that cannot be read.
    pub fn with_baseline(self, references: ElementEnergies, systems: &Systems, group_by: Option<&str>) -> Result<Self> {
        let group = |system: &System| group_by.map(|key| group_of(system, key));
        let baseline = Baseline::new(references).metrics_by(systems, &group)?;
        Ok(Self { baseline: Some(baseline), ..self })
    }

    /// Metrics in which the model is worse than the constant predictor.
    pub fn shortfalls(&self) -> Vec<Shortfall> {
        self.baseline.as_ref().map_or_else(Vec::new, |baseline| Shortfall::of(&self.metrics, baseline))
    }
}

/// Evaluates `potential` on labelled systems; `group_by` is a metadata key. `each` gets the systems and predictions of each
/// batch, in order.
pub fn measure(
    potential: &dyn Potential,
    systems: &Systems,
    group_by: Option<&str>,
    name: &str,
    each: &mut dyn FnMut(&[Cow<'_, System>], &Prediction),
) -> Result<Evaluation> {
    if systems.is_empty() {
        bail!("no systems to evaluate");
    }
    let progress = Progress::new(name, systems.len() as u64);
    let started = Instant::now();
    let mut evaluator = Evaluator::new();
    let (mut is_labelled, mut n_done) = (false, 0);
    evaluate_each(potential, systems, ATOMS_PER_BATCH, &mut |members, prediction| {
        let mut first = 0;
        for (system, energy) in members.iter().zip(&prediction.energy) {
            let n = system.n_atoms();
            let group = group_by.map(|key| group_of(system, key));
            evaluator.update_in_group(group.as_deref(), system, *energy, &prediction.forces[first..first + n])?;
            first += n;
            is_labelled |= system.energy.is_some() || system.forces.is_some();
        }
        each(members, prediction);
        n_done += members.len();
        progress.set(n_done as u64);
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    progress.finish();
    if !is_labelled {
        bail!("no system has an energy or forces to compare with; name them with --energy-key and --forces-key");
    }
    let systems_per_second = systems.len() as f64 / seconds;
    Ok(Evaluation { metrics: evaluator.finish(), systems_per_second, baseline: None })
}

/// Metrics for people, those of the constant predictor beside them.
pub fn describe(evaluation: &Evaluation) -> String {
    let m = &evaluation.metrics;
    let none = Metrics::default();
    let b = evaluation.baseline.as_ref().unwrap_or(&none);
    let mut lines =
        vec![format!("systems              {:>12}", m.n_systems), format!("atoms                {:>12}", m.n_atoms)];
    let mut line = |name: &str, value: Option<f64>, constant: Option<f64>, scale: f64, unit: &str| {
        let value = value.map_or_else(|| "–".to_owned(), |v| format!("{:.4}", v * scale));
        let beside = constant.map_or_else(String::new, |c| format!("  (constant: {:.1})", c * scale));
        lines.push(format!("{name:<20} {value:>12} {unit}{beside}"));
    };
    line("energy MAE", m.energy_mae, b.energy_mae, 1e3, "meV");
    line("energy MAE per atom", m.energy_mae_per_atom, b.energy_mae_per_atom, 1e3, "meV");
    line("energy RMSE", m.energy_rmse, b.energy_rmse, 1e3, "meV");
    line("force MAE", m.forces_mae, b.forces_mae, 1e3, "meV/Å");
    line("force RMSE", m.forces_rmse, b.forces_rmse, 1e3, "meV/Å");
    line("force cosine", m.forces_cos, None, 1.0, "");
    line("EFwT", m.efwt, None, 100.0, "%");
    line("throughput", Some(evaluation.systems_per_second), None, 1.0, "systems/s");
    for (element, mae) in &m.forces_mae_by_element {
        let constant = b.forces_mae_by_element.get(element).copied();
        line(&format!("force MAE of {element}"), Some(*mae), constant, 1e3, "meV/Å");
    }
    for (group, metrics) in &m.by_group {
        let constant = b.by_group.get(group).unwrap_or(&none);
        line(&format!("{group}: energy MAE"), metrics.energy_mae, constant.energy_mae, 1e3, "meV");
        line(&format!("{group}: force MAE"), metrics.forces_mae, constant.forces_mae, 1e3, "meV/Å");
    }
    lines.join("\n")
}
