//! A teacher that is a file: energies, forces and energies of atoms that any program wrote for the systems of a dataset.
//!
//! A label file is a dataset in any format that potstill reads, with the same structures, best in the same order. Further systems
//! are skipped and counted, so that the labels of a whole file serve for its first systems and for it without isolated atoms; they
//! are refused where most systems up to the last one that is used are not in the dataset.
//! Energies of atoms are an array `atomic_energies` among the keys of each system, or a column of that name.

mod align;
mod places;
mod same;
mod units;

use std::ops::Range;
use std::path::PathBuf;

use potstill_core::model::ElementEnergies;
use potstill_core::system::{Column, ColumnValues, Value};
use potstill_core::{Error, Result, System};
use potstill_data::dataset::{DatasetHash, LabelNeeds, Need, Systems, Visit, text_hash, validate};
use potstill_data::io::{LabelKeys, StoredFile, read, stored};
use potstill_data::program::virial;
use serde::{Deserialize, Serialize};

use self::places::Places;
use super::answer::Answer;
use super::questions::Holds;

/// Bytes of a label file that are read into memory; larger ones stay on disk where their format allows it.
const IN_MEMORY_BYTES: u64 = 1 << 30;
/// Atoms have energies under this key.
const ATOMIC_ENERGIES: &str = "atomic_energies";

/// Options for reading a label file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelOptions {
    /// Key of the energy. Default: the first of the usual names that the file has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_key: Option<String>,
    /// Name of the forces column. Default: the first of the usual names that the file has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forces_key: Option<String>,
    /// Whether the sizes of forces and energies must be like the dataset's, as they are in eV and Å. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_units: Option<bool>,
    /// Whether a constant for each element, fitted to the difference to the dataset's energies, is added to the energies, as
    /// programs count them from different zeros. Must be given when the energies differ by more than 0.5 eV per atom, or by less that such constants
    /// explain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub align_energies: Option<bool>,
}

/// An open file of labels.
#[derive(Debug)]
pub struct Labels {
    systems: Systems,
    files: String,
    options: LabelOptions,
    hash: String,
}

impl Labels {
    /// Opens files, which follow one another.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn open(paths: &[PathBuf], options: &LabelOptions) -> Result<Self> {
        let keys = LabelKeys { energy: options.energy_key.clone(), forces: options.forces_key.clone(), stress: None };
        let mut systems = Systems::default();
        for path in paths {
            let more = match stored::is_stored(path)? && stored::estimated_bytes(path)? > IN_MEMORY_BYTES {
                true => {
                    let open = |file: PathBuf| StoredFile::open(&file, &keys, None, &|_| {});
                    Systems::stored(stored::expand(path)?.into_iter().map(open).collect::<Result<_>>()?)
                }
                false => read(path, &keys)?.collect::<Result<Vec<System>>>()?.into(),
            };
            systems = if systems.is_empty() { more } else { systems.joined(more) };
        }
        let files = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        if systems.is_empty() {
            return Err(Error::file(&files, "holds no systems"));
        }
        let mut hash = DatasetHash::contents(systems.len());
        let mut atomic = String::new();
        systems.visit(&mut |_, system| {
            hash.add(system);
            if let Some(value) = system.metadata.get(ATOMIC_ENERGIES) {
                atomic = text_hash(&format!("{atomic}{value}"));
            } else if let Some(energies) = atomic_energies(system) {
                atomic = text_hash(&format!("{atomic}{energies:?}"));
            }
            Ok(())
        })?;
        let hash = text_hash(&format!("labels {}{atomic}", hash.finish()));
        Ok(Self { systems, files, options: options.clone(), hash })
    }

    /// Hash of what it says of a dataset; that depends on the dataset's energies where they are aligned with.
    ///
    /// # Errors
    /// A dataset that cannot be read.
    pub fn hash_about(&self, dataset: &Systems) -> Result<String> {
        if self.options.align_energies != Some(true) {
            return Ok(self.hash.clone());
        }
        let mut hash = DatasetHash::contents(dataset.len());
        dataset.visit(&mut |_, system| {
            hash.add(system);
            Ok(())
        })?;
        Ok(text_hash(&format!("{} aligned with {}", self.hash, hash.finish())))
    }

    /// Finds the labels of each system of a dataset.
    ///
    /// # Errors
    /// Labels that are missing, of atoms in another order or at other places, in other units or of the other sign, that mostly
    /// belong to other systems or contradict each other; energies from another zero unless the options say what to do.
    pub fn matched<'a>(&'a self, dataset: &'a Systems) -> Result<Matched<'a>> {
        let Places { places, notes } = Places::find(self, dataset)?;
        let mut holds = Holds { energy: true, forces: true, atomic_energies: true, spread: false, virial: true };
        let (mut first_without, mut has_cell) = ([None; 2], false);
        for (i, &place) in places.iter().enumerate() {
            let labels = self.systems.get(place)?;
            holds.energy &= labels.energy.is_some();
            holds.forces &= labels.forces.is_some();
            holds.atomic_energies &= atomic_energies(&labels).is_some();
            let system = dataset.get(i)?;
            has_cell |= system.cell.is_some();
            holds.virial &= system.cell.is_none() || labels.stress.is_some();
            let lacks = [labels.energy.is_none(), labels.forces.is_none()];
            first_without.iter_mut().zip(lacks).for_each(|(first, lacks)| {
                if lacks {
                    first.get_or_insert(i);
                }
            });
        }
        holds.virial &= has_cell;
        if !holds.energy && !holds.forces {
            let message = match first_without {
                [Some(a), Some(b)] => format!("no energy for system {a} and no forces for system {b}"),
                _ => "no energies and no forces".to_owned(),
            };
            return Err(self.error(format!("{message}; every system needs the one or the other")));
        }
        let needs = LabelNeeds { energy: Need::Optional, forces: Need::Optional, stress: Need::Optional };
        validate(&self.systems, &needs, None).map_err(|e| self.error(e.to_string()))?;
        let mut matched = Matched { labels: self, places, holds, shift: None, notes };
        if self.options.check_units.unwrap_or(true) {
            matched.check_units(dataset)?;
        }
        matched.align(dataset)?;
        Ok(matched)
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::file(&self.files, message)
    }
}

/// Energies of atoms among what a file said of a system.
fn atomic_energies(labels: &System) -> Option<Vec<f64>> {
    let values = match labels.metadata.get(ATOMIC_ENERGIES) {
        Some(Value::Real(value)) => vec![*value],
        Some(Value::Json(serde_json::Value::Array(values))) => {
            values.iter().map(|v| v.as_f64()).collect::<Option<_>>()?
        }
        Some(_) => return None,
        // As `potstill predict` writes them.
        None => match labels.columns.get(ATOMIC_ENERGIES)? {
            Column { width: 1, values: ColumnValues::Real(values) } => values.clone(),
            _ => return None,
        },
    };
    let sound = values.len() == labels.n_atoms() && values.iter().all(|v| v.is_finite());
    sound.then_some(values)
}

/// A label file with the places of the labels of a dataset.
pub struct Matched<'a> {
    labels: &'a Labels,
    places: Vec<usize>,
    holds: Holds,
    /// Constants that are added for each element.
    shift: Option<ElementEnergies>,
    /// Remarks about unusual labels.
    notes: Vec<String>,
}

impl Matched<'_> {
    /// Labels that every system has.
    pub fn holds(&self) -> Holds {
        self.holds
    }

    /// Remarks about unusual labels, one sentence each.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.iter().map(|note| format!("{}: {note}", self.labels.files))
    }

    /// The labels of a run of systems.
    ///
    /// # Errors
    /// A file that can no longer be read, an element without a constant.
    pub fn answer(&self, part: Range<usize>, members: &[&System]) -> Result<Answer> {
        let mut answer = Answer::default();
        let found = self.labels.systems.get_all(self.places[part].iter().copied())?;
        for (system, labels) in members.iter().zip(found) {
            if let (true, Some(energy)) = (self.holds.energy, labels.energy) {
                answer.energy.push(energy + self.total(system)?);
            }
            if let (true, Some(forces)) = (self.holds.forces, &labels.forces) {
                answer.forces.extend(forces);
            }
            if self.holds.virial {
                answer.virials.push(virial(system, labels.stress.as_ref()).unwrap_or_default());
            }
            if let (true, Some(energies)) = (self.holds.atomic_energies, atomic_energies(&labels)) {
                let shift = |z: u8| self.shift.as_ref().and_then(|shift| shift.get(z)).unwrap_or(0.0);
                answer.atomic_energies.extend(energies.iter().zip(&system.atomic_numbers).map(|(e, &z)| e + shift(z)));
            }
        }
        Ok(answer)
    }

    fn total(&self, system: &System) -> Result<f64> {
        self.shift.as_ref().map_or(Ok(0.0), |shift| shift.total(&system.atomic_numbers))
    }
}
