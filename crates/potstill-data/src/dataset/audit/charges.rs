//! Charges and spins, which networks here do not see.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fingerprint::composition_hash;
use super::{Check, Finding, Part, Place, Severity, Split};
use potstill_core::System;
use potstill_core::system::Value;

/// Keys of the total charge and spin, in lower case without `_` and `-`.
const KEYS: [&str; 15] = [
    "charge",
    "totalcharge",
    "systemcharge",
    "netcharge",
    "molecularcharge",
    "qtot",
    "spin",
    "totalspin",
    "multiplicity",
    "spinmultiplicity",
    "mult",
    "uhf",
    "nunpaired",
    "unpairedelectrons",
    "totmagmom",
];
/// Compositions whose values are remembered for each key.
const REMEMBERED: usize = 100_000;

/// Values of such keys.
#[derive(Debug, Default)]
pub(super) struct Charges {
    keys: BTreeMap<String, Values>,
}

#[derive(Debug, Default)]
struct Values {
    /// Up to [`SHOWN`] and one more.
    distinct: BTreeSet<String>,
    /// The first value of each composition, and where.
    of_composition: HashMap<u64, (String, Place)>,
    /// Two systems of the same atoms with two values.
    conflict: Option<[(String, Place); 2]>,
}

/// Values that a message lists.
const SHOWN: usize = 5;

impl Check for Charges {
    fn add(&mut self, place: Place, _: Split, system: &System) {
        for (key, value) in &system.metadata {
            if KEYS.contains(&plain(key).as_str())
                && let Some(value) = number(value)
            {
                if !self.keys.contains_key(key) {
                    self.keys.insert(key.clone(), Values::default());
                }
                if let Some(values) = self.keys.get_mut(key) {
                    values.add(place, composition_hash(system), value);
                }
            }
        }
    }

    fn finish(&mut self, parts: &[Part]) -> Vec<Finding> {
        self.keys.iter().filter_map(|(key, values)| values.finding(key, parts)).collect()
    }
}

impl Values {
    fn add(&mut self, place: Place, composition: u64, value: f64) {
        let value = value.to_string();
        if self.distinct.len() <= SHOWN && !self.distinct.contains(&value) {
            self.distinct.insert(value.clone());
        }
        let has_room = self.of_composition.len() < REMEMBERED;
        match self.of_composition.get(&composition) {
            Some((first, _)) if *first == value || self.conflict.is_some() => {}
            Some(first) => self.conflict = Some([first.clone(), (value, place)]),
            None if has_room => drop(self.of_composition.insert(composition, (value, place))),
            None => {}
        }
    }

    fn finding(&self, key: &str, parts: &[Part]) -> Option<Finding> {
        let shown: Vec<&str> = self.distinct.iter().take(SHOWN).map(String::as_str).collect();
        let more = if self.distinct.len() > SHOWN { ", …" } else { "" };
        let shown = format!("{}{more}", shown.join(", "));
        let (severity, message) = match &self.conflict {
            Some([(a, first), (b, second)]) => (
                Severity::Warning,
                format!(
                    "`{key}` varies between systems of the same atoms ({a} for {}, {b} for {}), but networks do not see it: \
                     they learn a mixture; train on one value at a time",
                    first.describe(parts),
                    second.describe(parts)
                ),
            ),
            None if self.distinct.len() > 1 => (
                Severity::Note,
                format!("`{key}` has the values {shown}, one for each composition; networks do not see it"),
            ),
            None if self.is_neutral(key) => return None,
            None => (
                Severity::Note,
                format!("`{key}` is {shown} everywhere; networks do not see it, and models hold for it alone"),
            ),
        };
        Some(Finding { check: "charges", severity, place: String::new(), message })
    }

    /// Whether the only value is that of a neutral molecule with a closed shell.
    fn is_neutral(&self, key: &str) -> bool {
        let neutral = if plain(key).contains("mult") { "1" } else { "0" };
        self.distinct.iter().all(|value| value == neutral)
    }
}

fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(_) | Value::Json(_) => None,
        Value::Int(v) => Some(*v as f64),
        Value::Real(v) => Some(*v + 0.0),
        Value::Text(text) => text.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(systems: &[(&[u8], &str, Value)]) -> Vec<Finding> {
        let mut check = Charges::default();
        for (i, (z, key, value)) in systems.iter().enumerate() {
            let metadata = [((*key).to_owned(), value.clone())].into();
            let system = System { atomic_numbers: z.to_vec(), metadata, ..System::default() };
            check.add(Place { part: 0, index: i as u32 }, Split::Training, &system);
        }
        check.finish(&[Part { split: Split::Training, file: None }])
    }

    #[test]
    fn what_varies_for_the_same_atoms_is_a_warning() {
        let found = findings(&[(&[8, 1], "charge", Value::Int(0)), (&[1, 8], "charge", Value::Real(-1.0))]);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
        assert!(found[0].message.starts_with(
            "`charge` varies between systems of the same atoms (0 for system 0 of training systems, -1 for system 1"
        ));
    }

    #[test]
    fn what_goes_with_the_composition_is_a_note() {
        let found = findings(&[(&[8, 1], "Total_Charge", Value::Int(-1)), (&[8, 1, 1], "Total_Charge", Value::Int(0))]);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Note));
        let found = findings(&[(&[8, 1], "spin_multiplicity", Value::Text("2".into()))]);
        assert_eq!(
            found[0].message,
            "`spin_multiplicity` is 2 everywhere; networks do not see it, and models hold for it alone"
        );
    }

    #[test]
    fn neutral_and_unknown_keys_are_not_spoken_of() {
        assert!(findings(&[(&[8], "multiplicity", Value::Int(1)), (&[8], "charge", Value::Real(0.0))]).is_empty());
        assert!(findings(&[(&[8], "spinner", Value::Int(1)), (&[8], "spinner", Value::Int(2))]).is_empty());
    }
}
