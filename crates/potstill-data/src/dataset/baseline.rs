//! Errors of a predictor that has learnt nothing: what any model must beat.

use std::fmt;

use potstill_core::model::ElementEnergies;

use super::Visit;
use potstill_core::Result;
use potstill_core::metrics::{Evaluator, Metrics};
use potstill_core::system::System;

/// Constant predictor: reference energies of the elements and one shift for the energy, zero forces.
///
/// The energy of a system is `Σ E0`, from the reference energies of a model, plus the mean of `E − Σ E0` over all *other*
/// systems that are evaluated. A system's own label stays out, so one free number is fitted and none is overfitted; the
/// shift makes the comparison fair where reference energies count from another zero (none, isolated atoms). With a single
/// energy there is no other system, and no energy metric. An element without a reference energy counts zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    references: ElementEnergies,
}

impl Baseline {
    /// A constant predictor with these energies of the elements.
    pub fn new(reference_energies: ElementEnergies) -> Self {
        Self { references: reference_energies }
    }

    /// Errors on labelled systems, in two passes over them.
    ///
    /// # Errors
    /// A system that cannot be read, labels that are not finite or of the wrong length.
    pub fn metrics(&self, systems: &(impl Visit + ?Sized)) -> Result<Metrics> {
        self.metrics_by(systems, &|_| None)
    }

    /// [`Self::metrics`], for each group of systems too. The shift is that of all systems.
    ///
    /// # Errors
    /// As [`Self::metrics`].
    pub fn metrics_by(
        &self,
        systems: &(impl Visit + ?Sized),
        group: &dyn Fn(&System) -> Option<String>,
    ) -> Result<Metrics> {
        let mut residuals = Residuals::default();
        systems.visit(&mut |_, system| {
            residuals.add(self.residual(system));
            Ok(())
        })?;
        let mut evaluator = Evaluator::new();
        systems.visit(&mut |_, system| {
            let residual = self.residual(system);
            // Where there is nothing to predict from, there is nothing to judge either.
            let judged = residual.and_then(|own| residuals.mean_without(own)).zip(residual.zip(system.energy));
            let zero = vec![[0.0; 3]; system.n_atoms()];
            let group = group(system);
            match judged {
                Some((shift, (own, energy))) => {
                    evaluator.update_in_group(group.as_deref(), system, energy - own + shift, &zero)
                }
                None => {
                    let without = System { energy: None, ..system.clone() };
                    evaluator.update_in_group(group.as_deref(), &without, 0.0, &zero)
                }
            }
        })?;
        Ok(evaluator.finish())
    }

    /// `E − Σ E0` in eV; absent without a finite energy.
    fn residual(&self, system: &System) -> Option<f64> {
        let energy = system.energy.filter(|energy| energy.is_finite())?;
        Some(energy - system.atomic_numbers.iter().map(|&z| self.references.get(z).unwrap_or(0.0)).sum::<f64>())
    }
}

/// Running mean of residuals, from which any one of them can be taken out again.
#[derive(Debug, Default)]
struct Residuals {
    count: usize,
    mean: f64,
}

impl Residuals {
    fn add(&mut self, residual: Option<f64>) {
        if let Some(residual) = residual {
            self.count += 1;
            self.mean += (residual - self.mean) / self.count as f64;
        }
    }

    /// Mean of the others.
    fn mean_without(&self, own: f64) -> Option<f64> {
        let others = self.count.checked_sub(1).filter(|&n| n > 0)? as f64;
        Some(self.mean + (self.mean - own) / others)
    }
}

/// A metric in which a model is worse than the constant predictor.
#[derive(Debug, Clone, PartialEq)]
pub struct Shortfall {
    /// Name of the metric, for people.
    pub metric: &'static str,
    /// Error of the model in `unit`.
    pub model: f64,
    /// Error of the constant predictor in `unit`.
    pub baseline: f64,
    /// Unit of both.
    pub unit: &'static str,
}

impl Shortfall {
    /// Metrics in which `model` is worse than `baseline`; both are about the same systems.
    pub fn of(model: &Metrics, baseline: &Metrics) -> Vec<Self> {
        let pairs = [
            ("energy MAE", model.energy_mae, baseline.energy_mae, "meV"),
            ("force MAE", model.forces_mae, baseline.forces_mae, "meV/Å"),
        ];
        let worse = pairs.into_iter().filter_map(|(metric, model, baseline, unit)| {
            let (model, baseline) = (1e3 * model?, 1e3 * baseline?);
            (model > baseline).then_some(Self { metric, model, baseline, unit })
        });
        worse.collect()
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, model, baseline, unit } = self;
        let constant = match *metric {
            "force MAE" => "zero forces",
            _ => "reference energies and a constant",
        };
        write!(f, "{metric} {model:.2} {unit} is worse than that of {constant} ({baseline:.2} {unit})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(z: &[u8], energy: Option<f64>, force: f64) -> System {
        System {
            atomic_numbers: z.to_vec(),
            positions: vec![[0.0; 3]; z.len()],
            energy,
            forces: Some(vec![[force, 0.0, -force]; z.len()]),
            ..System::default()
        }
    }

    fn references() -> ElementEnergies {
        ElementEnergies::new([(1, -10.0), (6, -1000.0)])
    }

    #[test]
    fn each_energy_is_predicted_from_the_others() {
        // Residuals 1, 2 and 6: the others' means are 4, 3.5 and 1.5.
        let systems = [
            system(&[1], Some(-9.0), 3.0),
            system(&[6, 1], Some(-1008.0), 3.0),
            system(&[6], Some(-994.0), 3.0),
            system(&[6], None, 3.0),
        ];
        let metrics = Baseline::new(references()).metrics(&systems).unwrap();
        assert_eq!(metrics.n_systems, 4);
        assert!((metrics.energy_mae.unwrap() - (3.0 + 1.5 + 4.5) / 3.0).abs() < 1e-12);
        assert!((metrics.forces_mae.unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn another_zero_of_energy_changes_nothing() {
        let systems = [1.0, 5.0, 2.0].map(|e| system(&[6, 1, 1], Some(e), 1.0));
        let of = |references| Baseline::new(references).metrics(&systems).unwrap().energy_mae.unwrap();
        assert!((of(references()) - of(ElementEnergies::default())).abs() < 1e-9);
    }

    #[test]
    fn one_energy_is_never_its_own_prediction() {
        let metrics = Baseline::new(references()).metrics(&[system(&[1], Some(-3.0), 1.0)]).unwrap();
        assert_eq!((metrics.energy_mae, metrics.forces_mae.map(|f| f > 0.0)), (None, Some(true)));
        assert_eq!(Baseline::default().metrics(&[] as &[System]).unwrap(), Metrics::default());
    }

    #[test]
    fn groups_share_the_shift() {
        let systems = [1.0, 2.0, 3.0, 4.0].map(|e| system(&[1], Some(e), e));
        let group = |s: &System| Some(if s.energy < Some(2.5) { "low" } else { "high" }.to_owned());
        let metrics = Baseline::new(references()).metrics_by(&systems, &group).unwrap();
        assert_eq!(metrics.by_group.len(), 2);
        assert!((metrics.by_group["low"].energy_mae.unwrap() - metrics.energy_mae.unwrap()).abs() < 1e-12);
        assert!(metrics.by_group["low"].forces_mae < metrics.by_group["high"].forces_mae);
    }

    #[test]
    fn what_is_worse_is_said() {
        let metrics = |energy, forces| Metrics { energy_mae: energy, forces_mae: forces, ..Metrics::default() };
        let baseline = metrics(Some(0.26), Some(1.0));
        assert!(Shortfall::of(&metrics(Some(0.2), Some(0.9)), &baseline).is_empty());
        assert!(Shortfall::of(&metrics(None, None), &baseline).is_empty());
        let worse = Shortfall::of(&metrics(Some(0.539), Some(0.259)), &baseline);
        let lines: Vec<String> = worse.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            ["energy MAE 539.00 meV is worse than that of reference energies and a constant (260.00 meV)"]
        );
    }
}
