//! Statistics of a dataset: the numbers behind `data info`.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::distinct::Distinct;
use potstill_core::elements::symbol_or_number;
use potstill_core::system::{System, Value, Vec3, dot};

/// Counts, labels and metadata keys of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Number of systems.
    pub n_systems: usize,
    /// Number of atoms of all systems.
    pub n_atoms: usize,
    /// Number of atoms that are held fixed.
    pub n_fixed: usize,
    /// Number of atoms of each element, by symbol.
    pub elements: BTreeMap<String, usize>,
    /// Whether any system is periodic.
    pub periodic: bool,
    /// Number of systems that are periodic along at least one lattice vector.
    pub n_periodic: usize,
    /// Number of atoms in a system.
    pub atoms_per_system: Summary,
    /// Total energies of systems in eV.
    pub energy: Summary,
    /// Total energies divided by the number of atoms in eV.
    pub energy_per_atom: Summary,
    /// Forces in eV/Å.
    pub forces: ForceSummary,
    /// Number of systems with a stress.
    pub n_stress: usize,
    /// Metadata keys by which systems can be grouped; keys with arrays or tables are left out.
    pub keys: BTreeMap<String, KeySummary>,
}

/// Count, mean, spread and extremes of some numbers; all but the counts are absent when there are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of finite values.
    pub count: usize,
    /// Number of further values that are NaN or infinite; they enter nothing else.
    pub n_not_finite: usize,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Square root of the mean squared deviation (divided by `count`).
    pub standard_deviation: Option<f64>,
    /// Smallest.
    pub min: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
}

/// Statistics of force components over all atoms, fixed ones too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForceSummary {
    /// Statistics of the components; `count` is the number of components, three per atom.
    #[serde(flatten)]
    pub components: Summary,
    /// Root mean square of the components in eV/Å.
    pub rms: Option<f64>,
    /// Number of systems with forces.
    pub n_systems: usize,
    /// The longest force vector.
    pub largest: Option<LargestForce>,
}

/// The longest force vector of a dataset and where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LargestForce {
    /// Length of the force in eV/Å.
    pub norm: f64,
    /// Index of the system.
    pub system: usize,
    /// Index of the atom in the system.
    pub atom: usize,
}

/// Use of a metadata key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KeySummary {
    /// Number of systems that have the key.
    pub n_systems: usize,
    /// Number of distinct values: exact up to 65536, beyond that an estimate whose standard error is 0.4 %.
    pub n_distinct: usize,
}

/// Statistics in the making, for systems that come one by one; memory does not grow with their number.
#[derive(Debug, Clone, Default)]
pub struct Gathering {
    result: Statistics,
    sizes: Running,
    energy: Running,
    energy_per_atom: Running,
    components: Running,
    keys: BTreeMap<String, (usize, Distinct)>,
}

impl Gathering {
    /// Takes in the next system.
    pub fn add(&mut self, system: &System) {
        let index = self.result.n_systems;
        self.result.count(system);
        self.sizes.add(system.n_atoms() as f64);
        if let Some(e) = system.energy {
            self.energy.add(e);
            self.energy_per_atom.add(e / system.n_atoms() as f64);
        }
        if let Some(forces) = &system.forces {
            self.result.forces.add(index, forces, &mut self.components);
        }
        for (key, value) in system.metadata.iter().filter(|(_, v)| !matches!(v, Value::Json(_))) {
            if !self.keys.contains_key(key) {
                self.keys.insert(key.clone(), Default::default());
            }
            if let Some((n_systems, distinct)) = self.keys.get_mut(key) {
                *n_systems += 1;
                distinct.add(&value.to_string());
            }
        }
    }

    /// The statistics of what was added.
    pub fn finish(self) -> Statistics {
        let mut result = self.result;
        result.periodic = result.n_periodic > 0;
        result.atoms_per_system = self.sizes.summary();
        result.energy = self.energy.summary();
        result.energy_per_atom = self.energy_per_atom.summary();
        result.forces.rms = self.components.rms();
        result.forces.components = self.components.summary();
        let summary = |(n_systems, distinct): (usize, Distinct)| KeySummary { n_systems, n_distinct: distinct.count() };
        result.keys = self.keys.into_iter().map(|(key, uses)| (key, summary(uses))).collect();
        result
    }
}

impl Statistics {
    /// Gathers the statistics of `systems` in one pass.
    pub fn of(systems: &[impl Borrow<System>]) -> Self {
        let mut gathering = Gathering::default();
        systems.iter().for_each(|system| gathering.add(system.borrow()));
        gathering.finish()
    }

    fn count(&mut self, system: &System) {
        self.n_systems += 1;
        self.n_atoms += system.n_atoms();
        self.n_fixed += system.fixed.iter().flatten().filter(|&&fixed| fixed).count();
        self.n_periodic += usize::from(system.is_periodic());
        self.n_stress += usize::from(system.stress.is_some());
        let mut counts = [0; 256];
        for &z in &system.atomic_numbers {
            counts[usize::from(z)] += 1;
        }
        for z in (0..=u8::MAX).filter(|&z| counts[usize::from(z)] > 0) {
            *self.elements.entry(symbol_or_number(z)).or_default() += counts[usize::from(z)];
        }
    }
}

impl ForceSummary {
    fn add(&mut self, system: usize, forces: &[Vec3], components: &mut Running) {
        self.n_systems += 1;
        for (atom, &force) in forces.iter().enumerate() {
            force.into_iter().for_each(|f| components.add(f));
            let norm = dot(force, force).sqrt();
            if norm.is_finite() && self.largest.as_ref().is_none_or(|largest| norm > largest.norm) {
                self.largest = Some(LargestForce { norm, system, atom });
            }
        }
    }
}

/// Running mean and spread (Welford), free of the cancellation that large total energies would suffer.
#[derive(Debug, Clone)]
pub(super) struct Running {
    count: usize,
    n_not_finite: usize,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Running {
    fn default() -> Self {
        Self::new()
    }
}

impl Running {
    pub(super) const fn new() -> Self {
        Self { count: 0, n_not_finite: 0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    pub(super) fn add(&mut self, x: f64) {
        if !x.is_finite() {
            self.n_not_finite += 1;
            return;
        }
        self.count += 1;
        let difference = x - self.mean;
        self.mean += difference / self.count as f64;
        self.squares += difference * (x - self.mean);
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    fn variance(&self) -> f64 {
        self.squares / self.count as f64
    }

    /// Root mean square, absent without numbers.
    pub(super) fn rms(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.variance() + self.mean * self.mean).sqrt())
    }

    pub(super) fn summary(&self) -> Summary {
        let some = |x: f64| (self.count > 0).then_some(x);
        Summary {
            count: self.count,
            n_not_finite: self.n_not_finite,
            mean: some(self.mean),
            standard_deviation: some(self.variance().sqrt()),
            min: some(self.min),
            max: some(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systems() -> Vec<System> {
        let water = System {
            atomic_numbers: vec![8, 1, 1],
            positions: vec![[0.0; 3]; 3],
            energy: Some(-30.0),
            forces: Some(vec![[3.0, 4.0, 0.0], [-3.0, 0.0, 0.0], [0.0, -4.0, 0.0]]),
            metadata: [("traj".to_string(), Value::Int(1)), ("grid".to_string(), Value::Json(serde_json::json!([1])))]
                .into(),
            ..System::default()
        };
        let mut crystal = System { atomic_numbers: vec![8], positions: vec![[0.0; 3]], ..System::default() };
        crystal.cell = Some([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]);
        crystal.pbc = [true; 3];
        crystal.energy = Some(-20.0);
        crystal.fixed = Some(vec![true]);
        crystal.metadata = [("traj".to_string(), Value::Int(2))].into();
        vec![water.clone(), crystal, water]
    }

    #[test]
    fn counts_and_keys() {
        let s = Statistics::of(&systems());
        assert_eq!((s.n_systems, s.n_atoms, s.n_fixed, s.n_periodic, s.periodic), (3, 7, 1, 1, true));
        assert_eq!(s.elements, [("H".to_string(), 4), ("O".to_string(), 3)].into());
        assert_eq!(s.keys, [("traj".to_string(), KeySummary { n_systems: 3, n_distinct: 2 })].into());
        assert_eq!((s.atoms_per_system.min, s.atoms_per_system.max), (Some(1.0), Some(3.0)));
    }

    #[test]
    fn labels() {
        let s = Statistics::of(&systems());
        assert_eq!((s.energy.count, s.energy.min, s.energy.max), (3, Some(-30.0), Some(-20.0)));
        assert!((s.energy.mean.unwrap() + 80.0 / 3.0).abs() < 1e-12);
        assert!((s.energy.standard_deviation.unwrap() - (200.0f64 / 9.0).sqrt()).abs() < 1e-12);
        assert!((s.energy_per_atom.mean.unwrap() + 40.0 / 3.0).abs() < 1e-12);
        assert_eq!((s.forces.n_systems, s.forces.components.count), (2, 18));
        assert!((s.forces.rms.unwrap() - (50.0f64 / 9.0).sqrt()).abs() < 1e-12);
        assert_eq!(s.forces.largest, Some(LargestForce { norm: 5.0, system: 0, atom: 0 }));
    }

    #[test]
    fn absent_and_broken_labels_are_counted_not_averaged() {
        let mut all = systems();
        all[0].energy = Some(f64::NAN);
        all[2].energy = None;
        let s = Statistics::of(&all);
        assert_eq!((s.energy.count, s.energy.n_not_finite, s.energy.mean), (1, 1, Some(-20.0)));
        let empty = Statistics::of(&[] as &[System]);
        assert_eq!((empty.n_systems, empty.energy.mean, empty.forces.rms), (0, None, None));
    }

    #[test]
    fn json_has_the_documented_names() {
        let s = Statistics::of(&systems());
        let json = serde_json::to_value(&s).unwrap();
        for label in ["energy", "energy_per_atom", "forces"] {
            for field in ["count", "mean", "standard_deviation", "min", "max"] {
                assert!(json[label][field].is_number(), "{label}.{field}");
            }
        }
        assert_eq!(json["forces"]["largest"]["norm"], 5.0);
        assert_eq!(json["elements"]["H"], 4);
        assert_eq!(serde_json::from_value::<Statistics>(json).unwrap(), s);
    }

    #[test]
    fn large_energies_do_not_cancel() {
        let mut running = Running::new();
        for i in 0..1000 {
            running.add(-1e9 + f64::from(i % 2));
        }
        assert!((running.summary().standard_deviation.unwrap() - 0.5).abs() < 1e-6);
    }
}
