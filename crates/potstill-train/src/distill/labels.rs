//! A teacher that is a file: energies, forces and energies of atoms that any program wrote for the systems of a dataset.
//!
//! A label file is a dataset in any format that potstill reads, with the same structures in the same order. Further systems
//! between them are skipped, so that the labels of a whole file serve for its first systems and for it without isolated atoms.
//! Energies of atoms are an array `atomic_energies` among the keys of each system.

use std::ops::Range;
use std::path::PathBuf;

use potstill_core::dataset::{
    DatasetHash, ElementEnergies, LabelNeeds, Need, Normalization, ReferenceEnergies, Systems, Visit, text_hash,
    validate,
};
use potstill_core::elements::symbol;
use potstill_core::io::{LabelKeys, StoredFile, read, stored};
use potstill_core::system::Value;
use potstill_core::units::{self, Unit};
use potstill_core::{Error, Result, System};
use serde::{Deserialize, Serialize};

use super::cache::Holds;
use super::teacher::Answer;

/// Farthest in Å that an atom of a label file may be from where it is in the dataset, for what writing rounds off.
const SAME_PLACE: f64 = 1e-3;
/// Systems whose forces and energies are compared with the dataset's to find other units.
const COMPARED: usize = 1000;
/// Factor between forces or energies of two methods in the same units, at most.
const SAME_UNITS: f64 = 3.0;
/// Difference of energies in eV per atom that must be spoken of.
const ALIGNED: f64 = 0.5;
/// Bytes of a label file that are read into memory; larger ones stay on disk where their format allows it.
const IN_MEMORY_BYTES: u64 = 1 << 30;
/// Atoms have energies under this key.
const ATOMIC_ENERGIES: &str = "atomic_energies";

/// How a label file is read.
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
    /// programs count them from different zeros. Must be given when the energies differ by more than 0.5 eV per atom.
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
    /// Labels that are missing, of atoms in another order or at other places, or in other units; energies from another zero
    /// unless the options say what to do.
    pub fn matched<'a>(&'a self, dataset: &'a Systems) -> Result<Matched<'a>> {
        let places = self.places(dataset)?;
        let mut holds = Holds { energy: true, forces: true, atomic_energies: true, spread: false };
        let mut first_without = [None; 2];
        for (i, &place) in places.iter().enumerate() {
            let labels = self.systems.get(place)?;
            holds.energy &= labels.energy.is_some();
            holds.forces &= labels.forces.is_some();
            holds.atomic_energies &= atomic_energies(&labels).is_some();
            let lacks = [labels.energy.is_none(), labels.forces.is_none()];
            first_without.iter_mut().zip(lacks).for_each(|(first, lacks)| {
                if lacks {
                    first.get_or_insert(i);
                }
            });
        }
        if !holds.energy && !holds.forces {
            let message = match first_without {
                [Some(a), Some(b)] => format!("no energy for system {a} and no forces for system {b}"),
                _ => "no energies and no forces".to_owned(),
            };
            return Err(self.error(format!("{message}; every system needs the one or the other")));
        }
        let needs = LabelNeeds { energy: Need::Optional, forces: Need::Optional, stress: Need::Optional };
        validate(&self.systems, &needs, None).map_err(|e| self.error(e.to_string()))?;
        let mut matched = Matched { labels: self, places, holds, shift: None };
        if self.options.check_units.unwrap_or(true) {
            matched.check_units(dataset)?;
        }
        matched.align(dataset)?;
        Ok(matched)
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::file(&self.files, message)
    }

    /// Which system of the file belongs to each of the dataset.
    fn places(&self, dataset: &Systems) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(dataset.len());
        self.systems.visit(&mut |place, labels| {
            if places.len() < dataset.len() && is_same(&*dataset.get(places.len())?, labels) {
                places.push(place);
            }
            Ok(())
        })?;
        let missing = places.len();
        if missing == dataset.len() {
            return Ok(places);
        }
        let system = dataset.get(missing)?;
        let name = system.name().map_or_else(String::new, |name| format!(" ({name})"));
        let next = places.last().map_or(0, |last| last + 1);
        let why = match self.systems.get(next) {
            Ok(labels) => difference(&system, &labels),
            Err(_) => format!("the file ends after {} systems", self.systems.len()),
        };
        Err(self.error(format!(
            "no labels for system {missing}{name} of {}: {why}; label the dataset again, in its order",
            dataset.len()
        )))
    }
}

/// Largest difference of coordinates.
fn off(a: &[[f64; 3]], b: &[[f64; 3]]) -> f64 {
    let far = a.as_flattened().iter().zip(b.as_flattened()).map(|(a, b)| (a - b).abs());
    far.fold(0.0, |far: f64, d| if far.is_nan() || d <= far { far } else { d })
}

/// Whether labels are of this structure.
fn is_same(system: &System, labels: &System) -> bool {
    let same_cell = match (&system.cell, &labels.cell) {
        (Some(a), Some(b)) => off(a, b) <= SAME_PLACE,
        _ => true,
    };
    system.atomic_numbers == labels.atomic_numbers
        && off(&system.positions, &labels.positions) <= SAME_PLACE
        && same_cell
}

/// What is different between a structure and the one that labels are of.
fn difference(system: &System, labels: &System) -> String {
    let (ours, theirs) = (&system.atomic_numbers, &labels.atomic_numbers);
    let sorted = |numbers: &[u8]| {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        sorted
    };
    if sorted(ours) != sorted(theirs) {
        return format!("the next labels are of {}, not {}", formula(theirs), formula(ours));
    }
    let is_there = |(z, position): (&u8, &[f64; 3])| {
        let mut atoms = theirs.iter().zip(&labels.positions);
        atoms.any(|(other, place)| {
            z == other && off(std::slice::from_ref(position), std::slice::from_ref(place)) <= SAME_PLACE
        })
    };
    if ours.iter().zip(&system.positions).all(is_there) {
        return match off(&system.positions, &labels.positions) <= SAME_PLACE {
            true => "the next labels are of another cell".to_owned(),
            false => "the next labels are of the same atoms in another order".to_owned(),
        };
    }
    if ours != theirs {
        return "the next labels are of the same elements in another order, at other places".to_owned();
    }
    let far = off(&system.positions, &labels.positions);
    format!("the next labels are of the same atoms, but up to {far:.3} Å away")
}

fn formula(numbers: &[u8]) -> String {
    let mut counts = std::collections::BTreeMap::<u8, usize>::new();
    numbers.iter().for_each(|&z| *counts.entry(z).or_default() += 1);
    let part = |(z, n): (&u8, &usize)| {
        let name = symbol(*z).map_or_else(|| format!("[{z}]"), str::to_owned);
        if *n == 1 { name } else { format!("{name}{n}") }
    };
    counts.iter().map(part).collect()
}

/// Energies of atoms among what a file said of a system.
fn atomic_energies(labels: &System) -> Option<Vec<f64>> {
    let values = match labels.metadata.get(ATOMIC_ENERGIES)? {
        Value::Real(value) => vec![*value],
        Value::Json(serde_json::Value::Array(values)) => values.iter().map(|v| v.as_f64()).collect::<Option<_>>()?,
        _ => return None,
    };
    let sound = values.len() == labels.n_atoms() && values.iter().all(|v| v.is_finite());
    sound.then_some(values)
}

/// A label file with the places of the labels of a dataset.
pub struct Matched<'a> {
    labels: &'a Labels,
    places: Vec<usize>,
    holds: Holds,
    /// What is added for each element.
    shift: Option<ElementEnergies>,
}

impl Matched<'_> {
    /// Which labels every system has.
    pub fn holds(&self) -> Holds {
        self.holds
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

    /// Compares sizes with the dataset's, whose units are known.
    fn check_units(&self, dataset: &Systems) -> Result<()> {
        let n = dataset.len().min(COMPARED);
        let members = dataset.get_all(0..n)?;
        let found = self.labels.systems.get_all(self.places[..n].iter().copied())?;
        let length = |forces: &[[f64; 3]]| forces.as_flattened().iter().map(|f| f * f).sum::<f64>().sqrt();
        let mut ratios: Vec<f64> = members
            .iter()
            .zip(&found)
            .filter_map(|(system, labels)| Some(length(labels.forces.as_ref()?) / length(system.forces.as_ref()?)))
            .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        if let Some(&ratio) = ratios.get(ratios.len() / 2) {
            self.judge("forces", ratio, &units::FORCE)?;
        }
        // What is left of energies without a constant for each element.
        let spread = |systems: Vec<System>| -> Option<f64> {
            let systems: Vec<System> = systems.into_iter().filter(|s| s.energy.is_some()).collect();
            let fit = ReferenceEnergies::LeastSquares.fit(&systems).ok()?;
            Some(Normalization::Energy.fit(&systems, &fit.energies).ok()?.energy_std)
        };
        let of = |systems: &[std::borrow::Cow<'_, System>]| systems.iter().map(|s| s.as_ref().clone()).collect();
        match (spread(of(&members)), spread(of(&found))) {
            (Some(ours), Some(theirs)) if n >= 10 && ours > 0.0 && theirs > 0.0 => {
                self.judge("energies", theirs / ours, &units::ENERGY)
            }
            _ => Ok(()),
        }
    }

    fn judge(&self, what: &str, ratio: f64, known: &[Unit]) -> Result<()> {
        if (1.0 / SAME_UNITS..SAME_UNITS).contains(&ratio) {
            return Ok(());
        }
        let near = units::nearest(known, ratio, 1.5);
        let guess = near.map_or_else(String::new, |(name, _)| format!(", as if they were in {name}"));
        Err(self.labels.error(format!(
            "its {what} are {ratio:.3} times as large as the dataset's{guess}; they must be in eV and Å (or set \
             distill.labels.check_units = false)"
        )))
    }

    /// Finds out whether energies count from another zero.
    fn align(&mut self, dataset: &Systems) -> Result<()> {
        if !self.holds.energy || self.labels.options.align_energies == Some(false) {
            return Ok(());
        }
        let differences = Differences { matched: self, dataset };
        let (mut sum, mut count) = (0.0, 0_usize);
        differences.visit(&mut |_, system| {
            if let Some(energy) = system.energy {
                sum += (energy / system.n_atoms() as f64).abs();
                count += 1;
            }
            Ok(())
        })?;
        let mean = sum / count.max(1) as f64;
        match self.labels.options.align_energies {
            Some(_) if count == 0 => {
                Err(Error::setting("distill.labels.align_energies", "needs energies in the dataset to align with"))
            }
            Some(_) => {
                self.shift = Some(ReferenceEnergies::LeastSquares.fit(&differences)?.energies);
                Ok(())
            }
            None if mean > ALIGNED => Err(self.labels.error(format!(
                "its energies differ from the dataset's by {mean:.2} eV per atom; set distill.labels.align_energies = true \
                 to add a constant for each element, or false if they shall be as they are"
            ))),
            None => Ok(()),
        }
    }
}

/// The dataset with what must be added to the labels' energies as energies.
struct Differences<'a, 'b> {
    matched: &'a Matched<'b>,
    dataset: &'a Systems,
}

impl Visit for Differences<'_, '_> {
    fn n_systems(&self) -> usize {
        self.dataset.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        self.dataset.visit(&mut |i, system| {
            let labels = self.matched.labels.systems.get(self.matched.places[i])?;
            let energy = system.energy.zip(labels.energy).map(|(ours, theirs)| ours - theirs);
            each(i, &System { energy, ..system.clone() })
        })
    }
}
