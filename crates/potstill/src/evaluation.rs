//! Measuring a model with progress on standard error, and its metrics for people.

use std::borrow::Cow;

use anyhow::Result;
use potstill_core::metrics::Metrics;
use potstill_core::{Potential, Prediction, System, units};
use potstill_data::dataset::Systems;
use potstill_train::evaluation::{self, Evaluation};

use crate::progress::Progress;
use crate::world;

/// Evaluates a potential on labelled systems and shows progress under a name; `group_by` is a metadata key.
pub fn measure(potential: &dyn Potential, systems: &Systems, group_by: Option<&str>, name: &str) -> Result<Evaluation> {
    let progress = Progress::new(name, systems.len() as u64);
    let mut n_done = 0;
    let mut each = |members: &[Cow<'_, System>], _: &Prediction| {
        n_done += members.len();
        progress.set(n_done as u64);
    };
    let evaluation = evaluation::measure_among(world::ranks(), potential, systems, group_by, &mut each);
    progress.finish();
    Ok(evaluation?)
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
    // Most data have no stress: a line that is always empty would only be in the way.
    if m.stress_mae.is_some() {
        line("stress MAE", m.stress_mae, b.stress_mae, 1e3, "meV/Å³");
        line("stress MAE", m.stress_mae, b.stress_mae, units::PRESSURE, "GPa");
    }
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
