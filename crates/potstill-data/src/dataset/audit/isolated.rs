//! Isolated atoms among the systems to learn from.

use std::collections::BTreeSet;

use super::{Check, Finding, Options, Part, Place, Severity, Split};
use crate::dataset::reference_energies::isolated_atom;
use potstill_core::System;
use potstill_core::elements::list_symbols;

/// Counts isolated atoms.
#[derive(Debug)]
pub(super) struct IsolatedAtoms {
    options: Options,
    n_systems: usize,
    elements: BTreeSet<u8>,
    first: Option<Place>,
}

impl IsolatedAtoms {
    /// Check that has seen no isolated atom so far.
    pub(super) fn new(options: Options) -> Self {
        Self { options, n_systems: 0, elements: BTreeSet::new(), first: None }
    }
}

impl Check for IsolatedAtoms {
    fn add(&mut self, place: Place, split: Split, system: &System) {
        let is_learnt = matches!(split, Split::All | Split::Training);
        if let Some(z) = isolated_atom(system).filter(|_| is_learnt) {
            self.n_systems += 1;
            self.elements.insert(z);
            self.first.get_or_insert(place);
        }
    }

    fn finish(&mut self, parts: &[Part]) -> Vec<Finding> {
        // With "isolated_atoms" the run itself says how many it took.
        let is_said = self.options.training && self.options.isolated_are_references;
        let Some(first) = self.first.filter(|_| !is_said) else { return Vec::new() };
        let known = "data.reference_energies = \"isolated_atoms\" takes their energies as reference energies and leaves them out";
        let unless = if self.options.training { ";" } else { ", unless" };
        let message = format!(
            "isolated atoms: {} ({}; the first is {}), trained on like all other systems{unless} {known}",
            self.n_systems,
            list_symbols(self.elements.iter().copied()),
            first.describe(parts)
        );
        vec![Finding { check: "isolated_atoms", severity: Severity::Note, place: String::new(), message }]
    }
}
