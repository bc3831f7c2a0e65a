//! Measuring a potential on labelled systems.

use std::borrow::Cow;
use std::time::Instant;

use potstill_core::metrics::{Evaluator, Metrics};
use potstill_core::model::ElementEnergies;
use potstill_core::ranks::{Alone, Ranks};
use potstill_core::system::Value;
use potstill_core::{Error, Potential, Prediction, Result, System};
use potstill_data::dataset::{Baseline, Shortfall, Systems};
use potstill_data::evaluation::{ATOMS_PER_BATCH, evaluate_batches};
use potstill_nn::{Model, parameters};
use serde::{Deserialize, Serialize};

use crate::together::joined;

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

/// Group of a system, by a metadata key.
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

/// Metrics and throughput of a potential on labelled systems. `group_by` is a metadata key; `each` gets the systems and
/// predictions of each batch, in order.
///
/// # Errors
/// No systems, systems without any label, systems that the potential does not know.
pub fn measure(
    potential: &dyn Potential,
    systems: &Systems,
    group_by: Option<&str>,
    each: &mut dyn FnMut(&[Cow<'_, System>], &Prediction),
) -> Result<Evaluation> {
    measure_among(&Alone, potential, systems, group_by, each)
}

/// Metrics as [`measure`] finds them, by several processes together; `each` gets the batches of this process.
///
/// # Errors
/// As [`measure`].
pub fn measure_among(
    ranks: &dyn Ranks,
    potential: &dyn Potential,
    systems: &Systems,
    group_by: Option<&str>,
    each: &mut dyn FnMut(&[Cow<'_, System>], &Prediction),
) -> Result<Evaluation> {
    if systems.is_empty() {
        return Err(Error::Other("no systems to evaluate".to_owned()));
    }
    let started = Instant::now();
    let batches = systems.batches(ATOMS_PER_BATCH);
    let own = &batches[ranks.block(ranks.rank(), batches.len())];
    // Number of labelled systems, and metrics, of each batch.
    let mut parts = Vec::with_capacity(own.len());
    evaluate_batches(potential, systems, own, &mut |members, prediction| {
        let (mut evaluator, mut n_labelled, mut first) = (Evaluator::new(), 0.0, 0);
        for (i, (system, energy)) in members.iter().zip(&prediction.energy).enumerate() {
            let n = system.n_atoms();
            let group = group_by.map(|key| group_of(system, key));
            if let Some(virial) = prediction.virial.as_ref().and_then(|virials| virials.get(i)) {
                evaluator.update_virial(group.as_deref(), system, virial)?;
            }
            evaluator.update_in_group(group.as_deref(), system, *energy, &prediction.forces[first..first + n])?;
            first += n;
            n_labelled += f64::from(u8::from(system.energy.is_some() || system.forces.is_some()));
        }
        parts.push(([n_labelled], evaluator));
        each(members, prediction);
        Ok(())
    })?;
    let ([n_labelled], evaluator) = joined(ranks, &parts)?;
    let seconds = started.elapsed().as_secs_f64();
    if n_labelled == 0.0 {
        let message = "no system has an energy or forces to compare with; name them with --energy-key and --forces-key";
        return Err(Error::Other(message.to_owned()));
    }
    let systems_per_second = systems.len() as f64 / seconds;
    Ok(Evaluation { metrics: evaluator.finish(), systems_per_second, baseline: None })
}

/// Part of the gap between a student alone and its teacher that distillation closes, in per cent (Ekström Kelvinius et
/// al. 2023, sec. 5); none when the student alone is no worse than its teacher.
pub fn gap_closed(alone: f64, distilled: f64, teacher: f64) -> Option<f64> {
    (alone > teacher).then(|| 100.0 * (alone - distilled) / (alone - teacher))
}

/// Number of parameters that a model ships.
pub fn n_parameters(model: &Model) -> usize {
    parameters::describe(model.network()).iter().map(|p| p.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::gap_closed;

    #[test]
    fn the_gap_of_the_paper() {
        assert_eq!(gap_closed(3.0, 2.0, 1.0), Some(50.0));
        assert_eq!(gap_closed(3.0, 3.5, 1.0), Some(-25.0));
        assert_eq!(gap_closed(1.0, 0.5, 1.0), None);
    }
}
