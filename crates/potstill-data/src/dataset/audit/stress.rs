//! Stress labels: there, and used where a weight says so.

use super::{Check, Finding, Part, Place, Severity, Split};
use potstill_core::System;

/// Counts training systems with a stress.
#[derive(Debug, Default)]
pub(super) struct Stress {
    n_systems: usize,
}

impl Check for Stress {
    fn add(&mut self, _: Place, split: Split, system: &System) {
        self.n_systems += usize::from(system.stress.is_some() && (split.is_learnt() || split == Split::All));
    }

    fn finish(&mut self, _: &[Part]) -> Vec<Finding> {
        let message = format!(
            "stress labels: {} of the systems; training uses them where training.stress_weight is set",
            self.n_systems
        );
        let finding = Finding { check: "stress", severity: Severity::Note, place: String::new(), message };
        if self.n_systems > 0 { vec![finding] } else { Vec::new() }
    }
}
