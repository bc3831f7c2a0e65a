//! Short runs in tests, and long runs that `cargo xtask fuzz` starts as processes of their own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Budget, Finding, Report, Target, run};

/// Seed of the runs in the tests.
const SEED: u64 = 0;

/// Runs a target for `inputs` inputs, always the same ones.
///
/// # Panics
/// When a defect is found; the inputs are kept and named.
pub fn check(target: &Target, inputs: u64) {
    let folder = scratch(target.name);
    let report = run(target, Budget::Inputs(inputs), SEED, folder.path());
    assert!(report.accepted > 0, "{}: not even its corpus can be read", target.name);
    if report.findings.is_empty() {
        return;
    }
    let kept = std::env::temp_dir().join("potstill-fuzz");
    let lines: Vec<String> = report.findings.iter().map(|f| describe(f, &keep(&kept, target.name, f))).collect();
    panic!("{} of {} inputs:\n{}", target.name, report.inputs, lines.join("\n"));
}

/// Files of a folder, by name; none where it is absent.
///
/// # Panics
/// When a file cannot be read.
pub fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry of the corpus").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file of the corpus")).collect()
}

/// Gives a target the inputs that once showed a defect, each a file of `folder`; the number of them.
///
/// # Panics
/// When one shows a defect again.
pub fn regressions(target: &mut Target, folder: &Path) -> usize {
    let inputs = corpus(&folder.join(target.name));
    let n = inputs.len();
    if n > 0 {
        target.corpus = inputs;
        let scratch = scratch(target.name);
        let report = run(target, Budget::Inputs(0), SEED, scratch.path());
        let messages: Vec<String> = report.findings.iter().map(|f| f.message.clone()).collect();
        assert!(messages.is_empty(), "{}: {}", target.name, messages.join("; "));
    }
    n
}

/// A long run, as the environment says: `POTSTILL_FUZZ_TARGET`, `POTSTILL_FUZZ_SECONDS`, `POTSTILL_FUZZ_SEED`, and
/// `POTSTILL_FUZZ_FOLDER` for inputs and findings. Without them it prints the targets' names.
///
/// # Panics
/// When the environment makes no sense.
pub fn worker(targets: &[Target]) {
    let variable = |name: &str| std::env::var(format!("POTSTILL_FUZZ_{name}")).ok();
    let Some(name) = variable("TARGET") else {
        return targets.iter().for_each(|target| println!("\nfuzz target: {}", target.name));
    };
    let number = |name: &str| variable(name).and_then(|text| text.parse::<u64>().ok()).expect("a whole number");
    let folder = PathBuf::from(variable("FOLDER").expect("a folder"));
    let target = targets.iter().find(|target| target.name == name).expect("a target of that name");
    let budget = Budget::Time(Duration::from_secs(number("SECONDS")));
    let report = run(target, budget, number("SEED"), &folder);
    println!("\nfuzz report: {}", json(target, &report, &folder));
}

fn json(target: &Target, report: &Report, folder: &Path) -> serde_json::Value {
    let finding = |f: &Finding| {
        let path = keep(&folder.join("findings"), target.name, f);
        serde_json::json!({ "kind": f.kind, "message": f.message, "input": path })
    };
    serde_json::json!({
        "inputs": report.inputs,
        "accepted": report.accepted,
        "outcomes": report.outcomes,
        "peak_bytes": report.peak_bytes,
        "slowest_seconds": report.slowest.as_secs_f64(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn describe(finding: &Finding, path: &Path) -> String {
    format!("{}: {} ({})", finding.kind, finding.message, path.display())
}

/// Writes the input of a finding to a file whose name is its hash.
fn keep(folder: &Path, target: &str, finding: &Finding) -> PathBuf {
    let hash = blake3::hash(&finding.input).to_hex();
    let path = folder.join(format!("{target}-{}-{}", finding.kind, &hash[..12]));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &finding.input));
    written.expect("a finding can be kept");
    path
}

/// A folder in memory where there is one: inputs are written thousands of times a second.
fn scratch(name: &str) -> tempfile::TempDir {
    let builder = |folder: PathBuf| tempfile::Builder::new().prefix(&format!("fuzz-{name}-")).tempdir_in(folder);
    builder("/dev/shm".into()).or_else(|_| builder(std::env::temp_dir())).expect("a temporary folder")
}
