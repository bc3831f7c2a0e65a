//! Distributions of distances between atoms, by pair of elements.

use std::collections::BTreeMap;

use potstill_core::elements::symbol_or_number;
use potstill_core::graph::{GraphRule, Neighbors};
use potstill_core::{Result, System};
use serde::{Deserialize, Serialize};

/// Largest distance in Å that is counted.
pub const LONGEST: f64 = 5.0;
/// Bins of a distribution.
pub const N_BINS: usize = 100;

/// Numbers of distances in bins of equal width, up to 5 Å, by pair of elements (`C-H`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Distances(pub BTreeMap<String, Vec<f64>>);

impl Distances {
    /// Counts the distances in some structures, images of atoms in other cells included; a pair is counted from either atom.
    ///
    /// # Errors
    /// A structure whose graph cannot be drawn.
    pub fn of(systems: &[System]) -> Result<Self> {
        let rule = GraphRule { cutoff: LONGEST, neighbors: Neighbors::All, symmetric: false };
        let mut counts = BTreeMap::<[u8; 2], Vec<f64>>::new();
        for system in systems {
            let graph = rule.build(&[system])?;
            for (edge, distance) in graph.distances().into_iter().enumerate() {
                let mut pair = [graph.target[edge], graph.source[edge]].map(|i| system.atomic_numbers[i as usize]);
                // Carbon before hydrogen, as in formulas of organic molecules; otherwise by number.
                pair.sort_by_key(|&z| (z != 6, z));
                let bin = ((distance / LONGEST * N_BINS as f64) as usize).min(N_BINS - 1);
                counts.entry(pair).or_insert_with(|| vec![0.0; N_BINS])[bin] += 1.0;
            }
        }
        let name = |[one, other]: [u8; 2]| format!("{}-{}", symbol_or_number(one), symbol_or_number(other));
        Ok(Self(counts.into_iter().map(|(pair, counts)| (name(pair), counts)).collect()))
    }

    /// Part that two distributions have in common, between 0 and 1, over all pairs; each is scaled to 1 first.
    pub fn overlap(&self, other: &Self) -> Option<f64> {
        let total = |of: &Self| of.0.values().flatten().sum::<f64>();
        let (own_total, other_total) = (total(self), total(other));
        if own_total == 0.0 || other_total == 0.0 {
            return None;
        }
        let common = self
            .0
            .iter()
            .filter_map(|(pair, own)| Some((own, other.0.get(pair)?)))
            .flat_map(|(own, other)| own.iter().zip(other).map(|(a, b)| (a / own_total).min(b / other_total)));
        Some(common.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_testkit::systems::molecule;

    #[test]
    fn distances_are_counted_by_pair() {
        let water = System {
            atomic_numbers: vec![8, 1, 1],
            positions: vec![[0.0; 3], [0.97, 0.0, 0.0], [0.0, 0.97, 0.0]],
            ..System::default()
        };
        let distances = Distances::of(&[water.clone(), water]).unwrap();
        assert_eq!(distances.0.keys().collect::<Vec<_>>(), ["H-H", "H-O"]);
        assert_eq!((distances.0["H-O"][19], distances.0["H-O"].iter().sum::<f64>()), (8.0, 8.0));
        assert_eq!(distances.0["H-H"].iter().sum::<f64>(), 4.0);
    }

    #[test]
    fn equal_distributions_overlap_wholly_and_strange_ones_not_at_all() {
        let near = [molecule(6, 1)];
        let mut far = near.clone();
        far[0].positions.iter_mut().for_each(|r| *r = r.map(|x| 1.7 * x));
        let [one, two] = [&near, &far].map(|systems| Distances::of(systems).unwrap());
        let thrice = Distances::of(&[near[0].clone(), near[0].clone(), near[0].clone()]).unwrap();
        assert!((one.overlap(&thrice).unwrap() - 1.0).abs() < 1e-12);
        assert!(one.overlap(&two).unwrap() < 0.8);
        assert_eq!(one.overlap(&Distances::default()), None);
    }
}
