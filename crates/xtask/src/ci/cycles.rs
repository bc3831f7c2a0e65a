//! Cycles between the modules of a crate.
//!
//! Among the children of one module, each with all that is below it, the paths must not lead round in a circle. A parent
//! and its children may name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

use super::modules::{ModulePath, Modules};
use crate::root;

/// Cycles that are there, each with the reason why it may stay.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// Reads all crates and looks for cycles.
pub fn check() -> Result<bool> {
    let mut found = BTreeSet::new();
    let folder = root().join("crates");
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let place = entry?.path();
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let roots = ["lib.rs", "main.rs"].map(|file| place.join("src").join(file));
        for file in roots.iter().filter(|file| file.is_file()) {
            let modules = Modules::read(file)?;
            found.extend(cycles(&modules).into_iter().map(|cycle| (name.clone(), cycle.join(" <-> "))));
        }
    }
    let is_allowed =
        |(name, cycle): &(String, String)| ALLOWED.iter().any(|(known, allowed, _)| known == name && allowed == cycle);
    let wrong: Vec<_> = found.iter().filter(|cycle| !is_allowed(cycle)).collect();
    wrong.iter().for_each(|(name, cycle)| println!("{name}: {cycle}"));
    let is_stale = |(name, cycle, _): &&(&str, &str, &str)| !found.contains(&((*name).to_owned(), (*cycle).to_owned()));
    let stale: Vec<_> = ALLOWED.iter().filter(is_stale).collect();
    stale.iter().for_each(|(name, cycle, _)| println!("{name}: {cycle} is allowed, but no longer there"));
    Ok(wrong.is_empty() && stale.is_empty())
}

/// Sets of siblings that lead to each other.
fn cycles(modules: &Modules) -> Vec<Vec<String>> {
    let mut siblings: BTreeMap<ModulePath, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, targets) in &modules.uses {
        for to in targets {
            let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) else { continue };
            siblings.entry(from[..shared].to_vec()).or_default().entry(a.clone()).or_default().insert(b.clone());
        }
    }
    let mut found = Vec::new();
    for (parent, edges) in &siblings {
        let reach: BTreeMap<&String, BTreeSet<&String>> =
            edges.keys().map(|name| (name, reachable(name, edges))).collect();
        let mut done = BTreeSet::new();
        for name in edges.keys() {
            let in_circle =
                |other: &&String| reach[name].contains(*other) && reach.get(*other).is_some_and(|r| r.contains(name));
            let circle: Vec<&String> = edges.keys().filter(in_circle).collect();
            if circle.len() > 1 && done.insert(circle.clone()) {
                let full = |name: &&String| [&parent[..], std::slice::from_ref(*name)].concat().join("::");
                found.push(circle.iter().map(full).collect());
            }
        }
    }
    found
}

/// Names that the edges lead to, from `start` on.
fn reachable<'a>(start: &str, edges: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&String> = edges.get(start).into_iter().flatten().collect();
    while let Some(name) = left.pop() {
        if found.insert(name) {
            left.extend(edges.get(name).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        cycles(&Modules::read(&folder.path().join("lib.rs")).unwrap())
    }

    #[test]
    fn siblings_that_name_each_other() {
        let found = of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { super::c::g() }"),
            ("c.rs", "use crate::{a, std}; #[cfg(test)] mod tests;"),
        ]);
        assert_eq!(found, [["a", "b", "c"]]);
    }

    #[test]
    fn parents_and_tests_are_free() {
        let found = of(&[
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            ("a.rs", "mod inner; pub use inner::I; #[cfg(test)] mod tests { use crate::b; }"),
            ("a/inner.rs", "use super::A; use crate::Root;"),
            ("b.rs", "use crate::A;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn names_that_a_parent_hands_on_count() {
        let found = of(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; mod c; pub use b::B;"),
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "use super::B;"),
        ]);
        assert_eq!(found, [["a::b", "a::c"]]);
    }
}
