//! Matching of labels with the systems of a dataset.
//!
//! Labels in the dataset's order are found in one pass. Otherwise every structure has a mark, a sum of its coordinates with fixed
//! random weights, which the rounding of a text file hardly changes: of the labels of the same atoms, those of the nearest mark are
//! compared first.

use std::collections::HashMap;

use potstill_core::{Result, System};
use potstill_data::dataset::{Systems, Visit};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Labels;
use super::same::{SAME_PLACE, difference, is_same};

/// Energies in eV per atom that two labels of one structure may be apart.
const SAME_ENERGY: f64 = 1e-3;
/// Candidates that are compared with a system, at most.
const COMPARED: usize = 64;

/// Places of the labels of a dataset.
pub(super) struct Places {
    /// Index of the labels of each system.
    pub places: Vec<usize>,
    /// Remarks about unusual labels.
    pub notes: Vec<String>,
}

/// Labels of one structure, without their numbers.
#[derive(Debug, Clone, Copy)]
struct Entry {
    mark: f64,
    place: usize,
    energy: Option<f64>,
}

/// All labels by atomic numbers, each list sorted by mark.
struct Catalogue(HashMap<Vec<u8>, Vec<Entry>>);

impl Places {
    /// Finds the labels of each system.
    ///
    /// # Errors
    /// Systems without labels, labels that mostly belong to no system, and two labels of one structure that contradict each other.
    pub fn find(labels: &Labels, dataset: &Systems) -> Result<Self> {
        let in_order = in_order(labels, dataset)?;
        let catalogue = Catalogue::of(&labels.systems)?;
        let mut notes = Vec::new();
        let places = match in_order.len() == dataset.len() {
            true => in_order,
            false => {
                notes.push(
                    "its systems are in another order than the dataset's; labels were found by structure".to_owned(),
                );
                catalogue.places(labels, dataset)?
            }
        };
        catalogue.check_contradictions(labels, &places)?;
        notes.extend(surplus(labels, &places)?);
        Ok(Self { places, notes })
    }
}

/// The labels of the first systems, as far as they follow each other as in the dataset.
fn in_order(labels: &Labels, dataset: &Systems) -> Result<Vec<usize>> {
    let mut places = Vec::with_capacity(dataset.len());
    labels.systems.visit(&mut |place, own| {
        if places.len() < dataset.len() && is_same(&*dataset.get(places.len())?, own) {
            places.push(place);
        }
        Ok(())
    })?;
    Ok(places)
}

impl Catalogue {
    fn of(systems: &Systems) -> Result<Self> {
        let mut all: HashMap<Vec<u8>, Vec<Entry>> = HashMap::new();
        systems.visit(&mut |place, system| {
            let entry = Entry { mark: mark(system), place, energy: system.energy };
            all.entry(system.atomic_numbers.clone()).or_default().push(entry);
            Ok(())
        })?;
        all.values_mut().for_each(|list| list.sort_by(|a, b| a.mark.total_cmp(&b.mark)));
        Ok(Self(all))
    }

    /// The labels of each system, wherever they are.
    fn places(&self, labels: &Labels, dataset: &Systems) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(dataset.len());
        dataset.visit(&mut |i, system| {
            match self.find(labels, system)? {
                Some(place) => places.push(place),
                None => return Err(missing(labels, dataset, i, system, places.last().copied())),
            }
            Ok(())
        })?;
        Ok(places)
    }

    fn find(&self, labels: &Labels, system: &System) -> Result<Option<usize>> {
        let Some(list) = self.0.get(&system.atomic_numbers) else { return Ok(None) };
        let (mark, reach) = (mark(system), reach(system.n_atoms()));
        let start = list.partition_point(|entry| entry.mark < mark - reach);
        let mut near: Vec<Entry> =
            list[start..].iter().take_while(|entry| entry.mark <= mark + reach).copied().collect();
        near.sort_by(|a, b| (a.mark - mark).abs().total_cmp(&(b.mark - mark).abs()).then(a.place.cmp(&b.place)));
        for entry in near.iter().take(COMPARED) {
            if is_same(system, &*labels.systems.get(entry.place)?) {
                return Ok(Some(entry.place));
            }
        }
        Ok(None)
    }

    /// Refuses two labels of one structure with different energies, if one of them is used.
    fn check_contradictions(&self, labels: &Labels, places: &[usize]) -> Result<()> {
        let mut is_used = vec![false; labels.systems.len()];
        places.iter().for_each(|&place| is_used[place] = true);
        let mut worst: Option<(usize, usize, f64)> = None;
        for (atoms, list) in &self.0 {
            let limit = SAME_ENERGY * atoms.len() as f64;
            for (k, a) in list.iter().enumerate() {
                let near = list[k + 1..].iter().take_while(|b| b.mark - a.mark <= reach(atoms.len())).take(COMPARED);
                for b in near.filter(|b| is_used[a.place] || is_used[b.place]) {
                    let apart = a.energy.zip(b.energy).map_or(0.0, |(a, b)| (a - b).abs());
                    let (first, second) = (a.place.min(b.place), a.place.max(b.place));
                    let is_first = worst.is_none_or(|(place, _, _)| first < place);
                    if apart > limit && is_first && same_labels(labels, first, second)? {
                        worst = Some((first, second, apart));
                    }
                }
            }
        }
        match worst {
            None => Ok(()),
            Some((first, second, apart)) => Err(labels.error(format!(
                "its systems {first} and {second} are one structure with energies that are {apart:.3} eV apart; remove the wrong one"
            ))),
        }
    }
}

fn same_labels(labels: &Labels, first: usize, second: usize) -> Result<bool> {
    Ok(is_same(&*labels.systems.get(first)?, &*labels.systems.get(second)?))
}

/// Says how many labels belong to no system; those behind the last one that is used may belong to systems that were left out.
fn surplus(labels: &Labels, places: &[usize]) -> Result<Option<String>> {
    let mut used = places.to_vec();
    used.sort_unstable();
    used.dedup();
    let before_last = used.last().map_or(0, |last| last + 1) - used.len();
    let behind = labels.systems.len() - before_last - used.len();
    if before_last > used.len() {
        return Err(labels.error(format!(
            "{before_last} of its first {} systems are not in the dataset; give the labels of this dataset",
            before_last + used.len()
        )));
    }
    let n = before_last + behind;
    Ok((n > 0).then(|| {
        format!("{n} of its {} systems are not in the dataset, and their labels are not used", labels.systems.len())
    }))
}

fn missing(labels: &Labels, dataset: &Systems, i: usize, system: &System, last: Option<usize>) -> potstill_core::Error {
    let name = system.name().map_or_else(String::new, |name| format!(" ({name})"));
    let next = last.map_or(0, |last| last + 1);
    let why = match labels.systems.get(next) {
        Ok(next) => difference(system, &next),
        Err(_) => format!("the file ends after {} systems", labels.systems.len()),
    };
    labels.error(format!("no labels for system {i}{name} of {}: {why}; label the dataset again", dataset.len()))
}

/// A sum of the coordinates with weights between −1 and 1.
fn mark(system: &System) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(system.atomic_numbers.len() as u64);
    system.positions.as_flattened().iter().map(|x| x * rng.random_range(-1.0..1.0)).sum()
}

/// Largest difference between the marks of one structure.
fn reach(n_atoms: usize) -> f64 {
    3.0 * n_atoms as f64 * SAME_PLACE
}
