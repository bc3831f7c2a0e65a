//! Structures of the golden set.

use std::path::PathBuf;

use potstill_core::System;

/// The system of that name in files of structures, such as `potstill_fixtures::files("structures", ".extxyz")`.
///
/// # Panics
/// When there is no such system: golden models come with their structures.
pub fn structure(files: &[PathBuf], name: &str) -> System {
    for file in files {
        for system in potstill_data::io::read(file, &Default::default()).unwrap() {
            let system = system.unwrap();
            if system.name().as_deref() == Some(name) {
                return system;
            }
        }
    }
    panic!("no structure {name}")
}
