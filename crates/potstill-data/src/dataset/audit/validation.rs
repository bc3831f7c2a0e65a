//! Training that nothing judges.

use super::{Check, Finding, Part, Place, Severity, Split};
use potstill_core::System;

/// Whether there are validation systems.
#[derive(Debug, Default)]
pub(super) struct Validation {
    any: bool,
}

impl Check for Validation {
    fn add(&mut self, _: Place, split: Split, _: &System) {
        self.any |= split == Split::Validation;
    }

    fn finish(&mut self, _: &[Part]) -> Vec<Finding> {
        let message = "there are no validation systems: the last weights are shipped, and nothing has judged them; set some \
                       systems aside with `potstill data split` and name them in data.validation";
        let place = String::new();
        let finding = Finding { check: "validation", severity: Severity::Warning, place, message: message.into() };
        if self.any { Vec::new() } else { vec![finding] }
    }
}
