//! Structures of the golden set.

use potstill_core::System;
use potstill_fixtures::files;

/// A structure of the golden set by its name.
///
/// # Panics
/// When there is no such structure: golden models come with theirs.
pub fn structure(name: &str) -> System {
    for file in files("structures", ".extxyz") {
        for system in potstill_data::io::read(&file, &Default::default()).unwrap() {
            let system = system.unwrap();
            if system.name().as_deref() == Some(name) {
                return system;
            }
        }
    }
    panic!("no structure {name}")
}
