//! Questions to a program as text, and the checks that its answers are about them.

use potstill_core::System;
use potstill_core::system::{Column, ColumnValues, Value};

use crate::io::extxyz::append;
use crate::io::keys::{ENERGY_KEYS, FORCES_KEYS, STRESS_KEYS};

/// Key and column of the energies of atoms.
const ATOMIC_ENERGIES: &str = "atomic_energies";
/// Largest difference in Å of a coordinate that a program may have rounded.
const SAME_PLACE: f64 = 1e-4;

/// Labels that a program gives for every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// Energies of systems.
    pub energy: bool,
    /// Forces.
    pub forces: bool,
    /// Stresses.
    pub stress: bool,
    /// Energies of atoms.
    pub atomic_energies: bool,
}

impl Given {
    /// Labels of one answer.
    pub fn of(answer: &System) -> Self {
        Self {
            energy: answer.energy.is_some(),
            forces: answer.forces.is_some(),
            stress: answer.stress.is_some(),
            atomic_energies: atomic_energies(answer).is_some(),
        }
    }

    /// A label of these that another answer lacks.
    fn missing(self, other: Self) -> Option<&'static str> {
        let pairs = [
            (self.energy, other.energy, "energy"),
            (self.forces, other.forces, "forces"),
            (self.atomic_energies, other.atomic_energies, "atomic_energies"),
        ];
        pairs.into_iter().find(|(wanted, there, _)| *wanted && !there).map(|(_, _, name)| name)
    }
}

/// Appends the text of a system without its labels: a program that does nothing must not pass for one that computes.
///
/// # Errors
/// A system that cannot be written.
pub(super) fn question(out: &mut String, system: &System) -> Result<(), String> {
    let mut bare = System { energy: None, forces: None, stress: None, ..system.clone() };
    let is_label =
        |key: &str| [ENERGY_KEYS, FORCES_KEYS, STRESS_KEYS].concat().contains(&key) || key == ATOMIC_ENERGIES;
    bare.metadata.retain(|key, _| !is_label(key));
    bare.columns.retain(|key, _| !is_label(key));
    append(out, &bare)
}

/// Checks that an answer is about a system and holds what earlier answers held.
///
/// # Errors
/// What is different or missing.
pub(super) fn check(system: &System, answer: &System, given: Option<Given>) -> Result<(), String> {
    let (ours, theirs) = (&system.atomic_numbers, &answer.atomic_numbers);
    let order = "answers must come in the order of the questions";
    if ours.len() != theirs.len() {
        return Err(format!("answered about {} atoms, not {}; {order}", theirs.len(), ours.len()));
    }
    if let Some(atom) = (0..ours.len()).find(|&i| ours[i] != theirs[i]) {
        return Err(format!(
            "answered about element {} as atom {atom}, not {}; {order}, atoms in theirs",
            theirs[atom], ours[atom]
        ));
    }
    let far = |atom: &usize| {
        let (ours, theirs) = (system.positions[*atom], answer.positions[*atom]);
        (0..3).any(|c| (ours[c] - theirs[c]).abs() > SAME_PLACE)
    };
    if let Some(atom) = (0..ours.len()).find(far) {
        return Err(format!(
            "moved atom {atom}, or answered about another system; {order}, with positions as they were"
        ));
    }
    let now = Given::of(answer);
    if !now.energy && !now.forces {
        return Err("gave neither `energy` nor `forces`".to_owned());
    }
    match given.and_then(|given| given.missing(now)) {
        Some(name) => Err(format!("gave no `{name}`, which it gave for systems before")),
        None => Ok(()),
    }
}

/// Energies of atoms in an answer, in a column or an array of the comment line.
pub fn atomic_energies(answer: &System) -> Option<Vec<f64>> {
    let values = match (answer.columns.get(ATOMIC_ENERGIES), answer.metadata.get(ATOMIC_ENERGIES)) {
        (Some(Column { width: 1, values: ColumnValues::Real(values) }), _) => values.clone(),
        (None, Some(Value::Real(value))) => vec![*value],
        (None, Some(Value::Json(serde_json::Value::Array(values)))) => {
            values.iter().map(serde_json::Value::as_f64).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let sound = values.len() == answer.n_atoms() && values.iter().all(|v| v.is_finite());
    sound.then_some(values)
}
