//! Sets of systems: checks, statistics, splits, batches, reference energies, normalisation.
//!
//! Functions here take [`Visit`]: owned systems, a selection of references, or [`Systems`] that stay in their files.

use std::borrow::Borrow;

use potstill_core::error::Error;
use potstill_core::system::System;

pub mod audit;
mod baseline;
mod distinct;
mod hash;
mod keyword;
mod normalization;
mod pseudo_inverse;
mod reference_energies;
mod sampler;
mod split;
mod statistics;
mod survey;
mod systems;
mod validate;
mod visit;

pub use baseline::{Baseline, Shortfall};
pub use hash::{DatasetHash, content_hash, structure_hash, text_hash};
pub use normalization::Normalization;
pub use reference_energies::{ReferenceEnergies, ReferenceFit};
pub use sampler::{BatchSize, Order, Sampler, shards};
pub use split::{Groups, Part, Size, split};
pub use statistics::{ForceSummary, Gathering, KeySummary, LargestForce, Statistics, Summary};
pub use survey::Survey;
pub use systems::Systems;
pub use validate::{LabelNeeds, Need, validate};
pub use visit::Visit;

/// Atomic numbers that occur in `systems`, ascending.
pub fn elements(systems: &[impl Borrow<System>]) -> Vec<u8> {
    let mut present = ElementSet::default();
    systems.iter().for_each(|system| present.add(system.borrow()));
    present.elements()
}

/// Atomic numbers seen so far.
#[derive(Debug, Clone)]
pub(crate) struct ElementSet([bool; 256]);

impl Default for ElementSet {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl ElementSet {
    /// Adds the elements of a system.
    pub(crate) fn add(&mut self, system: &System) {
        system.atomic_numbers.iter().for_each(|&z| self.0[usize::from(z)] = true);
    }

    /// Ascending.
    pub(crate) fn elements(&self) -> Vec<u8> {
        (0..=u8::MAX).filter(|&z| self.0[usize::from(z)]).collect()
    }
}

/// An error about one system, with its name.
fn error_at(index: usize, system: &System, message: impl Into<String>) -> Error {
    Error::System { index, name: system.name(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_distinct_and_ascending() {
        let water = System { atomic_numbers: vec![8, 1, 1], ..System::default() };
        let copper = System { atomic_numbers: vec![29], ..System::default() };
        assert_eq!(elements(&[&copper, &water]), [1, 8, 29]);
        assert!(elements(&[] as &[System]).is_empty());
    }
}
