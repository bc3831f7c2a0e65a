//! Licences and sources of all dependencies, from what cargo knows of them.
//!
//! Advisories need a database that changes every day; `cargo deny check advisories` asks it where there is a network.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use super::cargo::cargo;

/// Licences under which code may be linked into a program that is MIT or Apache-2.0.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The one source of crates.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates without a licence in their manifest, each with the licence of its repository.
const KNOWN: &[(&str, &str)] = &[("cfg_block", "MIT OR Apache-2.0")];

/// Checks every crate in the lock file.
pub fn check() -> Result<bool> {
    let output = cargo(&["metadata", "--locked", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let wrong: BTreeSet<String> = packages.iter().flat_map(complaints).collect();
    wrong.iter().for_each(|line| println!("{line}"));
    println!("{} crates; advisories are not asked for, as their database is online", packages.len());
    Ok(wrong.is_empty())
}

fn complaints(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let known = || KNOWN.iter().find(|(known, _)| *known == name).map(|(_, licence)| *licence);
    let licence = package["license"].as_str().or_else(known).unwrap_or("none");
    let mut wrong = Vec::new();
    if !is_allowed(licence) {
        wrong.push(format!("{name}: licence {licence} is not on the list"));
    }
    if package["source"].as_str().is_some_and(|source| source != REGISTRY) {
        wrong.push(format!("{name}: comes from {}", package["source"]));
    }
    wrong
}

/// Whether an SPDX expression leaves a choice that is allowed; `/` stands for OR, as in old manifests.
fn is_allowed(licence: &str) -> bool {
    let (licence, mut depth) = (licence.replace('/', " OR "), 0);
    // Alternatives outside parentheses.
    let mut alternatives = vec![String::new()];
    for word in licence.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
        match word {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        match (word, depth, alternatives.last_mut()) {
            ("OR", 0, _) => alternatives.push(String::new()),
            (_, _, Some(last)) => *last += &format!("{word} "),
            _ => {}
        }
    }
    alternatives.iter().any(|all| all.split(" AND ").all(|one| one_is_allowed(one.trim())))
}

fn one_is_allowed(licence: &str) -> bool {
    match licence.strip_prefix("( ").and_then(|inner| inner.strip_suffix(" )")) {
        Some(inner) => is_allowed(inner),
        None => ALLOWED.contains(&licence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_spdx() {
        for licence in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND NCSA", "Apache-2.0 / MIT"] {
            assert!(is_allowed(licence), "{licence}");
        }
        for licence in ["GPL-3.0", "MIT AND GPL-3.0", "none", "(GPL-3.0 OR LGPL-3.0) AND MIT", ""] {
            assert!(!is_allowed(licence), "{licence}");
        }
    }
}
