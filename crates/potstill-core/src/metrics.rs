//! Errors of a potential against labels.
//!
//! Definitions follow the evaluator of the Open Catalyst code: running totals divided by running counts, forces of free
//! atoms only. All sums are f64, in the order of the updates.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::elements::symbol;
use crate::error::{Error, Result};
use crate::potential::Prediction;
use crate::system::{Mat3, System, Vec3, dot};

/// Largest energy error in eV that counts as within threshold.
pub const EFWT_ENERGY: f64 = 0.02;
/// Largest error of a force component in eV/Å that counts as within threshold.
pub const EFWT_FORCE: f64 = 0.03;
/// Norms below this count as this in a cosine.
const COSINE_EPSILON: f64 = 1e-8;

/// Errors of a potential; a metric whose label was nowhere present is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of systems evaluated.
    pub n_systems: usize,
    /// Number of atoms evaluated, fixed ones too.
    pub n_atoms: usize,
    /// Mean absolute error of the energy of a system in eV.
    pub energy_mae: Option<f64>,
    /// Mean over systems of the absolute error of the energy divided by the number of atoms, in eV.
    pub energy_mae_per_atom: Option<f64>,
    /// Root mean square error of the energy of a system in eV.
    pub energy_rmse: Option<f64>,
    /// Mean absolute error of a force component in eV/Å.
    pub forces_mae: Option<f64>,
    /// Root mean square error of a force component in eV/Å.
    pub forces_rmse: Option<f64>,
    /// Mean cosine between predicted and true force of an atom.
    pub forces_cos: Option<f64>,
    /// Mean absolute difference of the lengths of predicted and true force of an atom in eV/Å.
    pub forces_magnitude: Option<f64>,
    /// Mean absolute error of a component of the stress in eV/Å³; of systems with a stress and a potential with virials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stress_mae: Option<f64>,
    /// Fraction of systems whose energy error is below [`EFWT_ENERGY`] and every force component's below [`EFWT_FORCE`].
    pub efwt: Option<f64>,
    /// Mean absolute error of a force component in eV/Å, by symbol of the atom.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forces_mae_by_element: BTreeMap<String, f64>,
    /// Metrics of each group of systems, when groups were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_group: BTreeMap<String, Metrics>,
}

/// Adds up errors system by system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluator {
    totals: Totals,
    by_group: BTreeMap<String, Totals>,
}

impl Evaluator {
    /// An evaluator that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one system, whose labels are the truth: its predicted energy in eV and forces in eV/Å, shape `[n, 3]`.
    ///
    /// # Errors
    /// Forces or labels of the wrong length, a prediction that is not finite; counts systems from the first update.
    /// The evaluator is unchanged then.
    pub fn update(&mut self, system: &System, energy: f64, forces: &[Vec3]) -> Result<()> {
        self.update_in_group(None, system, energy, forces)
    }

    /// [`Self::update`], with the system also counted in a group.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn update_in_group(
        &mut self,
        group: Option<&str>,
        system: &System,
        energy: f64,
        forces: &[Vec3],
    ) -> Result<()> {
        check(system, energy, forces).map_err(|message| Error::System {
            index: self.totals.n_systems,
            name: system.name(),
            message,
        })?;
        self.totals.add(system, energy, forces);
        if let Some(group) = group {
            self.by_group.entry(group.to_owned()).or_default().add(system, energy, forces);
        }
        Ok(())
    }

    /// Adds the virial in eV that was predicted for a system with a stress; others are left out.
    ///
    /// # Errors
    /// A virial that is not finite.
    pub fn update_virial(&mut self, group: Option<&str>, system: &System, virial: &Mat3) -> Result<()> {
        let (Some(target), Some(volume)) = (system.stress, system.volume().filter(|&volume| volume > 0.0)) else {
            return Ok(());
        };
        if virial.as_flattened().iter().any(|v| !v.is_finite()) {
            let message = format!("predicted virial is {virial:?}");
            return Err(Error::System { index: self.totals.n_systems, name: system.name(), message });
        }
        let group = group.map(|group| self.by_group.entry(group.to_owned()).or_default());
        for totals in group.into_iter().chain([&mut self.totals]) {
            for (virial, target) in virial.as_flattened().iter().zip(target.as_flattened()) {
                totals.stress_absolute.add((-virial / volume - target).abs());
            }
        }
        Ok(())
    }

    /// Adds the systems of a batch.
    ///
    /// # Errors
    /// A prediction of other sizes than the batch; otherwise as [`Self::update`].
    pub fn update_batch(&mut self, systems: &[impl Borrow<System>], prediction: &Prediction) -> Result<()> {
        let n_atoms: usize = systems.iter().map(|s| s.borrow().n_atoms()).sum();
        if prediction.energy.len() != systems.len() || prediction.forces.len() != n_atoms {
            return Err(Error::Other(format!(
                "prediction of {} energies and {} forces for {} systems of {n_atoms} atoms",
                prediction.energy.len(),
                prediction.forces.len(),
                systems.len()
            )));
        }
        let mut rest = &prediction.forces[..];
        for (i, (system, &energy)) in systems.iter().zip(&prediction.energy).enumerate() {
            let (forces, after) = rest.split_at(system.borrow().n_atoms());
            if let Some(virial) = prediction.virial.as_ref().and_then(|virials| virials.get(i)) {
                self.update_virial(None, system.borrow(), virial)?;
            }
            self.update(system.borrow(), energy, forces)?;
            rest = after;
        }
        Ok(())
    }

    /// Adds everything that another evaluator has seen.
    pub fn add(&mut self, other: &Self) {
        self.totals.join(&other.totals);
        for (group, totals) in &other.by_group {
            self.by_group.entry(group.clone()).or_default().join(totals);
        }
    }

    /// The metrics of everything added so far.
    pub fn finish(&self) -> Metrics {
        let by_group = self.by_group.iter().map(|(group, totals)| (group.clone(), totals.metrics())).collect();
        Metrics { by_group, ..self.totals.metrics() }
    }
}

/// Lengths and finiteness, before anything is added.
fn check(system: &System, energy: f64, forces: &[Vec3]) -> Result<(), String> {
    let n_atoms = system.n_atoms();
    let lengths = [
        ("predicted forces", Some(forces.len())),
        ("forces", system.forces.as_ref().map(Vec::len)),
        ("fixed flags", system.fixed.as_ref().map(Vec::len)),
    ];
    for (what, length) in lengths {
        if let Some(length) = length.filter(|&l| l != n_atoms) {
            return Err(format!("{length} {what} for {n_atoms} atoms"));
        }
    }
    if !energy.is_finite() {
        return Err(format!("predicted energy is {energy}"));
    }
    match forces.iter().position(|f| f.iter().any(|x| !x.is_finite())) {
        Some(atom) => Err(format!("predicted force of atom {atom} is {:?}", forces[atom])),
        None => Ok(()),
    }
}

/// A sum and the number of its terms.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Mean {
    total: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, x: f64) {
        self.total += x;
        self.count += 1;
    }

    fn join(&mut self, other: Self) {
        self.total += other.total;
        self.count += other.count;
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.total / self.count as f64)
    }

    fn root(self) -> Option<f64> {
        self.get().map(f64::sqrt)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Totals {
    n_systems: usize,
    n_atoms: usize,
    energy_absolute: Mean,
    energy_per_atom: Mean,
    energy_square: Mean,
    force_absolute: Mean,
    force_square: Mean,
    force_cosine: Mean,
    force_magnitude: Mean,
    stress_absolute: Mean,
    within_threshold: Mean,
    force_by_element: BTreeMap<u8, Mean>,
}

impl Totals {
    fn means(&self) -> [Mean; 9] {
        let mut own = self.clone();
        own.means_mut().map(|mean| *mean)
    }

    fn means_mut(&mut self) -> [&mut Mean; 9] {
        [
            &mut self.energy_absolute,
            &mut self.energy_per_atom,
            &mut self.energy_square,
            &mut self.force_absolute,
            &mut self.force_square,
            &mut self.force_cosine,
            &mut self.force_magnitude,
            &mut self.stress_absolute,
            &mut self.within_threshold,
        ]
    }

    fn join(&mut self, other: &Self) {
        self.n_systems += other.n_systems;
        self.n_atoms += other.n_atoms;
        self.means_mut().into_iter().zip(other.means()).for_each(|(own, other)| own.join(other));
        for (&z, &mean) in &other.force_by_element {
            self.force_by_element.entry(z).or_default().join(mean);
        }
    }

    fn add(&mut self, system: &System, energy: f64, forces: &[Vec3]) {
        self.n_systems += 1;
        self.n_atoms += system.n_atoms();
        let energy_error = system.energy.map(|target| (energy - target).abs());
        if let Some(error) = energy_error {
            self.energy_absolute.add(error);
            self.energy_per_atom.add(error / system.n_atoms().max(1) as f64);
            self.energy_square.add(error * error);
        }
        let largest_error = system.forces.as_ref().map(|targets| self.add_forces(system, forces, targets));
        if let (Some(energy_error), Some(force_error)) = (energy_error, largest_error) {
            let within = energy_error < EFWT_ENERGY && force_error < EFWT_FORCE;
            self.within_threshold.add(f64::from(u8::from(within)));
        }
    }

    /// Adds the forces of free atoms; returns the largest error of a component, 0 when every atom is fixed.
    fn add_forces(&mut self, system: &System, forces: &[Vec3], targets: &[Vec3]) -> f64 {
        let mut largest: f64 = 0.0;
        let atoms = forces.iter().zip(targets).zip(&system.atomic_numbers).enumerate();
        for (_, ((&force, &target), &z)) in atoms.filter(|&(atom, _)| system.is_free(atom)) {
            let of_element = self.force_by_element.entry(z).or_default();
            for axis in 0..3 {
                let error = (force[axis] - target[axis]).abs();
                self.force_absolute.add(error);
                self.force_square.add(error * error);
                of_element.add(error);
                // Not `max`, which would drop the NaN of a broken label.
                largest = if error > largest || error.is_nan() { error } else { largest };
            }
            let (norm, target_norm) = (dot(force, force).sqrt(), dot(target, target).sqrt());
            let cosine = dot(force, target) / (norm.max(COSINE_EPSILON) * target_norm.max(COSINE_EPSILON));
            self.force_cosine.add(cosine);
            self.force_magnitude.add((norm - target_norm).abs());
        }
        largest
    }

    fn metrics(&self) -> Metrics {
        let by_element = self.force_by_element.iter().filter_map(|(&z, mean)| {
            let symbol = symbol(z).map_or_else(|| format!("Z={z}"), str::to_owned);
            mean.get().map(|mae| (symbol, mae))
        });
        Metrics {
            n_systems: self.n_systems,
            n_atoms: self.n_atoms,
            energy_mae: self.energy_absolute.get(),
            energy_mae_per_atom: self.energy_per_atom.get(),
            energy_rmse: self.energy_square.root(),
            forces_mae: self.force_absolute.get(),
            forces_rmse: self.force_square.root(),
            forces_cos: self.force_cosine.get(),
            forces_magnitude: self.force_magnitude.get(),
            stress_mae: self.stress_absolute.get(),
            efwt: self.within_threshold.get(),
            forces_mae_by_element: by_element.collect(),
            by_group: BTreeMap::new(),
        }
    }
}

mod message;

#[cfg(test)]
mod tests;
