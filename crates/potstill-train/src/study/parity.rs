//! Predictions beside labels, thinned to what a plot can show.

use std::borrow::Cow;

use potstill_core::{Prediction, System};
use serde::{Deserialize, Serialize};

/// Most points of a plot; more than half of them are always there when there is that much to show.
const MOST: usize = 1500;

/// Labels and predictions of energies in eV and of force components in eV/Å.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// Energies of systems.
    pub energies: Thinned,
    /// Components of forces.
    pub forces: Thinned,
}

impl Pairs {
    /// Takes in a batch; systems without a label are left out.
    pub fn add(&mut self, systems: &[Cow<'_, System>], prediction: &Prediction) {
        let mut first = 0;
        for (system, &energy) in systems.iter().zip(&prediction.energy) {
            if let Some(label) = system.energy {
                self.energies.add((label, energy));
            }
            let forces = &prediction.forces[first..first + system.n_atoms()];
            if let Some(labels) = &system.forces {
                let pairs = labels.iter().flatten().zip(forces.iter().flatten());
                pairs.for_each(|(&label, &force)| self.forces.add((label, force)));
            }
            first += system.n_atoms();
        }
    }
}

/// Every n-th of the pairs that were added, where n doubles whenever there are too many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thinned {
    /// Label and prediction.
    pub pairs: Vec<(f64, f64)>,
    stride: usize,
    n_seen: usize,
}

impl Default for Thinned {
    fn default() -> Self {
        Self { pairs: Vec::new(), stride: 1, n_seen: 0 }
    }
}

impl Thinned {
    fn add(&mut self, pair: (f64, f64)) {
        if self.n_seen.is_multiple_of(self.stride) {
            if self.pairs.len() == MOST {
                self.stride *= 2;
                self.pairs = self.pairs.iter().copied().step_by(2).collect();
            }
            if self.n_seen.is_multiple_of(self.stride) {
                self.pairs.push(pair);
            }
        }
        self.n_seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_pairs_are_evenly_spread() {
        for n in [1, MOST, MOST + 1, 10 * MOST + 7] {
            let mut thinned = Thinned::default();
            (0..n).for_each(|i| thinned.add((i as f64, 0.0)));
            assert!(thinned.pairs.len() <= MOST && thinned.pairs.len() >= n.min(MOST / 2), "{n}");
            assert!(thinned.pairs.iter().enumerate().all(|(k, pair)| pair.0 == (k * thinned.stride) as f64));
        }
    }
}
