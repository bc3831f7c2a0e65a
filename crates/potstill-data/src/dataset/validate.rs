//! Checks that data can be trained on, with one line per complaint.

use potstill_core::elements::{list_symbols, symbol_or_number};

use super::{Visit, error_at};
use potstill_core::elements::symbol;
use potstill_core::error::{Error, Result};
use potstill_core::system::{System, Vec3};

/// Whether every system must carry a label, and on whose behalf.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Need {
    /// The label may be absent.
    #[default]
    Optional,
    /// The label must be there.
    Required,
    /// The label must be there because a setting gives it a weight.
    Weighted {
        /// The setting as the user writes it, for example `training.force_weight`.
        key: String,
        /// Weight of its loss.
        weight: f64,
    },
}

impl Need {
    /// [`Need::Weighted`] for a weight that is not zero, otherwise [`Need::Optional`].
    pub fn weight(key: &str, weight: f64) -> Self {
        if weight == 0.0 { Self::Optional } else { Self::Weighted { key: key.into(), weight } }
    }
}

impl From<bool> for Need {
    fn from(required: bool) -> Self {
        if required { Self::Required } else { Self::Optional }
    }
}

/// Labels that every system must carry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelNeeds {
    /// Need of energies.
    pub energy: Need,
    /// Need of forces.
    pub forces: Need,
    /// Need of stresses; where a weight asks for them, of systems with a cell.
    pub stress: Need,
}

/// Checks `systems` for shape, finite numbers, known elements and the labels that are needed.
///
/// `elements` are the atomic numbers that the model knows; `None` allows all.
///
/// # Errors
/// No system at all; the first system with no atoms, an array of the wrong length, an unknown element, a number that
/// is not finite, or without a needed label (then with the counts of labelled and unlabelled systems).
pub fn validate(systems: &(impl Visit + ?Sized), needs: &LabelNeeds, elements: Option<&[u8]>) -> Result<()> {
    if systems.n_systems() == 0 {
        return Err(Error::Other("the dataset is empty; give at least one system".into()));
    }
    let mut labels = [
        Census::new("energy", &needs.energy),
        Census::new("forces", &needs.forces),
        Census::new("stress", &needs.stress),
    ];
    systems.visit(&mut |index, system| {
        check_one(system, elements).map_err(|message| error_at(index, system, message))?;
        // A loss leaves out systems without a cell, which have no stress.
        let is_left_out = system.cell.is_none() && matches!(needs.stress, Need::Weighted { .. });
        let stress = system.stress.is_some() || is_left_out;
        let present = [system.energy.is_some(), system.forces.is_some(), stress];
        labels.iter_mut().zip(present).for_each(|(label, present)| label.add(index, system, present));
        Ok(())
    })?;
    labels.into_iter().try_for_each(|label| label.finish(systems.n_systems())).map_err(|e| systems.locate(e))
}

type Check = Result<(), String>;

fn check_one(system: &System, elements: Option<&[u8]>) -> Check {
    if system.n_atoms() == 0 {
        return Err("no atoms; remove this system".into());
    }
    check_lengths(system)?;
    check_elements(system, elements)?;
    check_finite(system)
}

fn check_lengths(system: &System) -> Check {
    let lengths = [
        ("positions", Some(system.positions.len())),
        ("forces", system.forces.as_ref().map(Vec::len)),
        ("tags", system.tags.as_ref().map(Vec::len)),
        ("fixed flags", system.fixed.as_ref().map(Vec::len)),
    ];
    let n_atoms = system.n_atoms();
    for (what, length) in lengths {
        if let Some(length) = length.filter(|&l| l != n_atoms) {
            return Err(format!("{length} {what} for {n_atoms} atoms; give one per atom"));
        }
    }
    Ok(())
}

fn check_elements(system: &System, elements: Option<&[u8]>) -> Check {
    for (atom, &z) in system.atomic_numbers.iter().enumerate() {
        if symbol(z).is_none() {
            return Err(format!("atom {atom} has atomic number {z}; it must be 1 to 118"));
        }
        if let Some(known) = elements.filter(|known| !known.contains(&z)) {
            return Err(format!(
                "atom {atom} is {}, but the model knows only {}; remove this system or use a model with that element",
                symbol_or_number(z),
                list_symbols(known.iter().copied())
            ));
        }
    }
    Ok(())
}

fn check_finite(system: &System) -> Check {
    check_vectors("position", &system.positions)?;
    let rows = |matrix: &Option<[Vec3; 3]>| matrix.iter().flatten().flatten().copied().find(|x| !x.is_finite());
    if let Some(x) = rows(&system.cell) {
        return Err(format!("the cell holds {x}; lattice vectors must be finite"));
    }
    if let Some(energy) = system.energy.filter(|e| !e.is_finite()) {
        return Err(format!("energy is {energy}; correct the label or remove it"));
    }
    check_vectors("force", system.forces.as_deref().unwrap_or_default())?;
    match rows(&system.stress) {
        Some(x) => Err(format!("the stress holds {x}; correct the label or remove it")),
        None => Ok(()),
    }
}

fn check_vectors(what: &str, vectors: &[Vec3]) -> Check {
    for (atom, [x, y, z]) in vectors.iter().enumerate() {
        if !(x.is_finite() && y.is_finite() && z.is_finite()) {
            return Err(format!("{what} of atom {atom} is ({x}, {y}, {z}); correct it or remove this system"));
        }
    }
    Ok(())
}

/// Count of the systems with a label, and the complaint where some lack it.
struct Census<'a> {
    label: &'static str,
    need: &'a Need,
    n_with: usize,
    first_with: Option<usize>,
    /// Index and name.
    first_without: Option<(usize, Option<String>)>,
}

impl<'a> Census<'a> {
    fn new(label: &'static str, need: &'a Need) -> Self {
        Self { label, need, n_with: 0, first_with: None, first_without: None }
    }

    fn add(&mut self, index: usize, system: &System, present: bool) {
        if present {
            self.n_with += 1;
            self.first_with.get_or_insert(index);
        } else if self.first_without.is_none() {
            self.first_without = Some((index, system.name()));
        }
    }

    /// Every one of `n_systems` must have the label if it is needed.
    fn finish(self, n_systems: usize) -> Result<()> {
        let Self { label, need, n_with, first_with, first_without } = self;
        let Some((index, name)) = first_without.filter(|_| *need != Need::Optional) else { return Ok(()) };
        let mut message = format!("no {label}");
        if let Need::Weighted { key, weight } = need {
            message += &format!(", but {key} is {weight}");
        }
        if let Some(first_with) = first_with {
            let n_without = n_systems - n_with;
            message += &format!(
                " ({n_without} of {n_systems} systems have none, {n_with} have {label}, the first of these is system \
                 {first_with})"
            );
        }
        message += &match need {
            Need::Weighted { .. } => format!("; give {label} or set it to 0"),
            _ if first_with.is_some() => format!("; give {label} or remove the systems without"),
            _ => format!("; give {label}"),
        };
        Err(Error::System { index, name, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_core::system::Value;

    fn labelled() -> System {
        System {
            atomic_numbers: vec![1, 8],
            positions: vec![[0.0; 3], [0.0, 0.0, 1.0]],
            energy: Some(-1.0),
            forces: Some(vec![[0.0; 3]; 2]),
            ..System::default()
        }
    }

    fn changed(change: impl Fn(&mut System)) -> System {
        let mut system = labelled();
        change(&mut system);
        system
    }

    fn complaint(systems: &[System], needs: &LabelNeeds, elements: Option<&[u8]>) -> String {
        let message = validate(systems, needs, elements).unwrap_err().to_string();
        assert!(!message.contains('\n'));
        message
    }

    fn complaint_about(change: impl Fn(&mut System)) -> String {
        complaint(&[labelled(), changed(change)], &LabelNeeds::default(), Some(&[1, 8]))
    }

    #[test]
    fn good_data_pass() {
        let needs = LabelNeeds {
            energy: true.into(),
            forces: Need::weight("training.force_weight", 30.0),
            ..Default::default()
        };
        validate(&[labelled(), labelled()], &needs, Some(&[1, 6, 8])).unwrap();
        let bare = changed(|s| (s.energy, s.forces) = (None, None));
        validate(&[bare], &LabelNeeds { forces: Need::weight("w", 0.0), ..Default::default() }, None).unwrap();
    }

    #[test]
    fn an_empty_dataset_is_refused() {
        assert_eq!(complaint(&[], &LabelNeeds::default(), None), "the dataset is empty; give at least one system");
    }

    #[test]
    fn absent_forces_name_the_weight() {
        let needs = LabelNeeds { forces: Need::weight("training.force_weight", 30.0), ..Default::default() };
        let mut system = changed(|s| s.forces = None);
        system.metadata.insert("name".into(), Value::Text("water".into()));
        assert_eq!(
            complaint(&[system], &needs, None),
            "system 0 (water): no forces, but training.force_weight is 30; give forces or set it to 0"
        );
    }

    #[test]
    fn mixed_labels_are_counted() {
        let without = changed(|s| s.energy = None);
        let systems = [without.clone(), without, labelled()];
        assert_eq!(
            complaint(&systems, &LabelNeeds { energy: true.into(), ..Default::default() }, None),
            "system 0: no energy (2 of 3 systems have none, 1 have energy, the first of these is system 2); \
             give energy or remove the systems without"
        );
        let needs = LabelNeeds { energy: Need::weight("energy_weight", 1.0), ..Default::default() };
        assert!(complaint(&systems, &needs, None).ends_with("is system 2); give energy or set it to 0"));
    }

    #[test]
    fn an_absent_stress_is_named() {
        let needs = LabelNeeds { stress: true.into(), ..Default::default() };
        assert_eq!(complaint(&[labelled()], &needs, None), "system 0: no stress; give stress");
    }

    #[test]
    fn wrong_systems_are_named() {
        type Change = fn(&mut System);
        let cases: [(Change, &str); 10] = [
            (|s| *s = System::default(), "no atoms; remove this system"),
            (|s| s.positions.truncate(1), "1 positions for 2 atoms; give one per atom"),
            (|s| s.forces = Some(vec![]), "0 forces for 2 atoms; give one per atom"),
            (|s| s.fixed = Some(vec![true]), "1 fixed flags for 2 atoms; give one per atom"),
            (|s| s.atomic_numbers[1] = 0, "atom 1 has atomic number 0; it must be 1 to 118"),
            (
                |s| s.atomic_numbers[1] = 78,
                "atom 1 is Pt, but the model knows only H, O; remove this system or use a model with that element",
            ),
            (|s| s.energy = Some(f64::NAN), "energy is NaN; correct the label or remove it"),
            (
                |s| s.forces = Some(vec![[0.0; 3], [0.0, f64::INFINITY, 0.0]]),
                "force of atom 1 is (0, inf, 0); correct it or remove this system",
            ),
            (|s| s.stress = Some([[f64::NAN; 3]; 3]), "the stress holds NaN; correct the label or remove it"),
            (|s| s.cell = Some([[f64::NAN; 3]; 3]), "the cell holds NaN; lattice vectors must be finite"),
        ];
        for (change, message) in cases {
            assert_eq!(complaint_about(change), format!("system 1: {message}"));
        }
        assert!(complaint_about(|s| s.positions[0][0] = f64::NAN).contains("position of atom 0 is (NaN, 0, 0)"));
    }
}
