//! Direction of the dependencies between potstill's crates and on the tensor framework.

use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use super::cargo::cargo;

/// Crates that a crate may use.
struct Room {
    name: &'static str,
    /// In what ships.
    uses: &'static [&'static str],
    /// In tests and benches besides.
    tests_use: &'static [&'static str],
}

/// Golden files.
const FIXTURES: &[&str] = &["potstill-fixtures", "potstill-fixtures-macros"];

/// Crates that tests use where the tensor framework is at hand.
const TESTS: &[&str] = &["potstill-testkit", "potstill-fixtures", "potstill-fixtures-macros"];

/// The rooms of the house; ARCHITECTURE.md says why.
const ROOMS: &[Room] = &[
    Room { name: "potstill-core", uses: &[], tests_use: FIXTURES },
    Room { name: "potstill-data", uses: &["potstill-core"], tests_use: FIXTURES },
    Room { name: "potstill-kernels", uses: &["potstill-core"], tests_use: FIXTURES },
    Room { name: "potstill-capi", uses: &["potstill-core", "potstill-engine"], tests_use: &[] },
    Room { name: "potstill-mpi", uses: &["potstill-core"], tests_use: &[] },
    Room { name: "potstill-ipi", uses: &["potstill-core"], tests_use: &["potstill-data", "potstill-engine"] },
    Room { name: "potstill-simulate", uses: &["potstill-core"], tests_use: &["potstill-data", "potstill-engine"] },
    Room {
        name: "potstill-engine",
        uses: &["potstill-core", "potstill-kernels"],
        // Its numbers must be those of the networks.
        tests_use: &["potstill-data", "potstill-nn", "potstill-testkit", "potstill-fixtures", "burn"],
    },
    Room {
        name: "potstill-nn",
        uses: &["potstill-core", "potstill-data", "potstill-kernels", "burn", "burn-cubecl", "burn-flex"],
        tests_use: TESTS,
    },
    Room {
        name: "potstill-train",
        uses: &["potstill-core", "potstill-data", "potstill-nn", "potstill-simulate", "burn"],
        tests_use: TESTS,
    },
    Room {
        name: "potstill",
        uses: &[
            "potstill-core",
            "potstill-data",
            "potstill-engine",
            "potstill-ipi",
            "potstill-mpi",
            "potstill-nn",
            "potstill-simulate",
            "potstill-train",
            "burn",
        ],
        tests_use: TESTS,
    },
    Room { name: "potstill-python", uses: &["potstill-core", "potstill-engine"], tests_use: &[] },
    Room { name: "potstill-testkit", uses: &["potstill-core", "potstill-data"], tests_use: &[] },
    Room { name: "potstill-fixtures", uses: &[], tests_use: &[] },
    Room { name: "potstill-fixtures-macros", uses: &[], tests_use: &[] },
    // It builds and runs the others, with the features of the whole workspace.
    Room { name: "xtask", uses: &[], tests_use: &[] },
];

/// Compares the manifests, as cargo reads them, with the table.
pub fn check() -> Result<bool> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let wrong: Vec<String> = packages.iter().flat_map(complaints).collect();
    wrong.iter().for_each(|line| println!("{line}"));
    Ok(wrong.is_empty())
}

fn complaints(package: &Value) -> Vec<String> {
    let crate_name = package["name"].as_str().unwrap_or_default();
    let Some(room) = ROOMS.iter().find(|room| room.name == crate_name) else {
        return vec![format!("{crate_name}: unknown crate; say in xtask's table what it may use")];
    };
    let forbidden = |dependency: &Value| {
        let name = dependency["name"].as_str()?;
        let has_direction = name.starts_with("potstill") || name == "burn" || name.starts_with("burn-");
        let in_tests = dependency["kind"] == "dev";
        let may = room.uses.contains(&name) || in_tests && room.tests_use.contains(&name);
        let place = if in_tests { "in tests" } else { "in what ships" };
        (has_direction && !may).then(|| format!("{crate_name} may not use {name} {place}"))
    };
    package["dependencies"].as_array().into_iter().flatten().filter_map(forbidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Option<&str>, name: &str) -> Vec<String> {
        complaints(&serde_json::json!({
            "name": "potstill-core", "dependencies": [{ "name": name, "kind": kind }],
        }))
    }

    #[test]
    fn tests_may_use_more_than_what_ships() {
        assert_eq!(of(None, "burn"), ["potstill-core may not use burn in what ships"]);
        assert_eq!(of(None, "potstill-fixtures"), ["potstill-core may not use potstill-fixtures in what ships"]);
        assert!(of(Some("dev"), "potstill-fixtures").is_empty() && of(None, "serde").is_empty());
        assert_eq!(of(Some("dev"), "potstill-testkit"), ["potstill-core may not use potstill-testkit in tests"]);
    }
}
