//! Hashes, counts and elements of the data of a run, gathered in one pass before it starts.

use super::hash::DatasetHash;
use super::{ElementSet, Visit};
use potstill_core::Result;
use serde::{Deserialize, Serialize};

/// Hash, elements and counts of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Hash of the systems; see [`content_hash`](super::content_hash).
    pub content_hash: String,
    /// Atomic numbers that occur, ascending.
    pub elements: Vec<u8>,
    /// Number of systems.
    pub n_systems: usize,
    /// Number of atoms.
    pub n_atoms: usize,
    /// Number of atoms that may move.
    pub n_free: usize,
    /// Number of systems with a stress and a volume.
    pub n_virials: usize,
}

impl Survey {
    /// Goes through `systems` once.
    ///
    /// # Errors
    /// A system that cannot be read.
    pub fn of(systems: &(impl Visit + ?Sized)) -> Result<Self> {
        let mut hash = DatasetHash::contents(systems.n_systems());
        let mut elements = ElementSet::default();
        let mut survey = Self { n_systems: systems.n_systems(), ..Self::default() };
        systems.visit(&mut |_, system| {
            hash.add(system);
            elements.add(system);
            survey.n_atoms += system.n_atoms();
            survey.n_free += (0..system.n_atoms()).filter(|&atom| system.is_free(atom)).count();
            let has_volume = system.volume().is_some_and(|volume| volume > 0.0);
            survey.n_virials += usize::from(has_volume && system.stress.is_some());
            Ok(())
        })?;
        Ok(Self { content_hash: hash.finish(), elements: elements.elements(), ..survey })
    }
}
