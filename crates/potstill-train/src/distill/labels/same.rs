//! Whether labels are of a structure, and what is different if not.

use potstill_core::System;
use potstill_core::elements::symbol;

/// Farthest in Å that an atom of a label file may be from where it is in the dataset, for what writing rounds off.
pub(super) const SAME_PLACE: f64 = 1e-3;

/// Largest difference of coordinates.
fn off(a: &[[f64; 3]], b: &[[f64; 3]]) -> f64 {
    let far = a.as_flattened().iter().zip(b.as_flattened()).map(|(a, b)| (a - b).abs());
    far.fold(0.0, |far: f64, d| if far.is_nan() || d <= far { far } else { d })
}

/// Whether labels are of this structure.
pub(super) fn is_same(system: &System, labels: &System) -> bool {
    let same_cell = match (&system.cell, &labels.cell) {
        (Some(a), Some(b)) => off(a, b) <= SAME_PLACE,
        _ => true,
    };
    system.atomic_numbers == labels.atomic_numbers
        && off(&system.positions, &labels.positions) <= SAME_PLACE
        && same_cell
}

/// Difference between a structure and the one that labels are of, in words.
pub(super) fn difference(system: &System, labels: &System) -> String {
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
