//! Measuring a model on labelled systems.

use std::borrow::Cow;
use std::time::Instant;

use anyhow::{Result, bail};
use potstill_core::dataset::Systems;
use potstill_core::evaluation::evaluate_each;
use potstill_core::metrics::{Evaluator, Metrics};
use potstill_core::system::Value;
use potstill_core::{Potential, Prediction, System};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;

/// Atoms of one forward pass.
pub const ATOMS_PER_BATCH: usize = 400;

/// Metrics and throughput, as `evaluate --json` prints them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// Errors in eV and Å.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Systems per second, neighbour search included.
    pub systems_per_second: f64,
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
            let group =
                group_by.map(|key| system.metadata.get(key).map_or_else(|| "(none)".to_owned(), Value::to_string));
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
    Ok(Evaluation { metrics: evaluator.finish(), systems_per_second: systems.len() as f64 / seconds })
}

/// Metrics for people.
pub fn describe(evaluation: &Evaluation) -> String {
    let m = &evaluation.metrics;
    let mut lines =
        vec![format!("systems              {:>12}", m.n_systems), format!("atoms                {:>12}", m.n_atoms)];
    let mut line = |name: &str, value: Option<f64>, scale: f64, unit: &str| {
        let value = value.map_or_else(|| "–".to_owned(), |v| format!("{:.4}", v * scale));
        lines.push(format!("{name:<20} {value:>12} {unit}"));
    };
    line("energy MAE", m.energy_mae, 1e3, "meV");
    line("energy MAE per atom", m.energy_mae_per_atom, 1e3, "meV");
    line("energy RMSE", m.energy_rmse, 1e3, "meV");
    line("force MAE", m.forces_mae, 1e3, "meV/Å");
    line("force RMSE", m.forces_rmse, 1e3, "meV/Å");
    line("force cosine", m.forces_cos, 1.0, "");
    line("EFwT", m.efwt, 100.0, "%");
    line("throughput", Some(evaluation.systems_per_second), 1.0, "systems/s");
    for (element, mae) in &m.forces_mae_by_element {
        line(&format!("force MAE of {element}"), Some(*mae), 1e3, "meV/Å");
    }
    for (group, metrics) in &m.by_group {
        line(&format!("{group}: energy MAE"), metrics.energy_mae, 1e3, "meV");
        line(&format!("{group}: force MAE"), metrics.forces_mae, 1e3, "meV/Å");
    }
    lines.join("\n")
}
