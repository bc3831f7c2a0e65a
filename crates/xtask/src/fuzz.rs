//! `cargo xtask fuzz`

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build::build;
use crate::root;

/// Arguments of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Minutes of all targets together.
    #[arg(long, default_value_t = 10.0, value_name = "MINUTES")]
    minutes: f64,
    /// Try this target only; may be given several times. Default: all.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Seed of the changes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Names of the targets, and nothing else.
    #[arg(long)]
    list: bool,
    /// Folder for inputs that show a defect. Default: target/fuzz.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A test executable and one of its targets.
struct Job {
    executable: PathBuf,
    name: String,
}

/// Counts of one target.
#[derive(Default)]
struct Total {
    inputs: u64,
    accepted: u64,
    outcomes: u64,
    peak_bytes: u64,
    slowest: f64,
    deaths: u64,
    findings: Vec<String>,
}

/// Runs every target for its share of the time; whether nothing was found.
pub fn run(args: &Args) -> Result<bool> {
    if !(args.minutes.is_finite() && args.minutes > 0.0) {
        bail!("--minutes {}: give a positive number", args.minutes);
    }
    let jobs = jobs(&args.target)?;
    if args.list {
        jobs.iter().for_each(|job| println!("{}", job.name));
        return Ok(true);
    }
    let out = args.out.clone().unwrap_or_else(|| root().join("target/fuzz"));
    let out = std::path::absolute(&out).with_context(|| out.display().to_string())?;
    let share = Duration::from_secs_f64(args.minutes * 60.0 / jobs.len() as f64);
    println!(
        "{:<12} {:>11} {:>9} {:>8} {:>9} {:>10}  findings",
        "target", "inputs", "accepted", "outcomes", "MiB", "slowest s"
    );
    let (mut inputs, mut findings) = (0, 0);
    for job in &jobs {
        let total = job.run(share, args.seed, &out)?;
        let (mib, n) = (total.peak_bytes as f64 / f64::from(1 << 20), total.findings.len());
        println!(
            "{:<12} {:>11} {:>9} {:>8} {mib:>9.1} {:>10.3}  {n}",
            job.name, total.inputs, total.accepted, total.outcomes, total.slowest
        );
        total.findings.iter().for_each(|finding| println!("    {finding}"));
        (inputs, findings) = (inputs + total.inputs, findings + n);
    }
    println!("{inputs} inputs, {findings} findings");
    Ok(findings == 0)
}

/// Targets of all test executables, or those of the names that were asked for.
fn jobs(names: &[String]) -> Result<Vec<Job>> {
    let built = build()?;
    let mut jobs = Vec::new();
    for executable in [built.tests("fuzz")?, built.tests("potstill")?] {
        let text = stdout(&worker(&executable).output().context("cannot start the tests")?);
        let found = text.lines().filter_map(|line| line.strip_prefix("fuzz target: "));
        jobs.extend(found.map(|name| Job { executable: executable.clone(), name: name.to_owned() }));
    }
    if let Some(name) = names.iter().find(|name| !jobs.iter().any(|job| job.name == **name)) {
        let known: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        bail!("--target {name}: unknown; there are {}", known.join(", "));
    }
    jobs.retain(|job| names.is_empty() || names.contains(&job.name));
    Ok(jobs)
}

/// The test that waits for orders in its environment.
fn worker(executable: &Path) -> Command {
    let mut command = Command::new(executable);
    command.args(["fuzz_worker", "--ignored", "--nocapture", "--test-threads", "1"]).current_dir(root());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Job {
    /// Starts workers until the time is used up; one that dies leaves the input that it died of.
    fn run(&self, share: Duration, seed: u64, out: &Path) -> Result<Total> {
        let start = Instant::now();
        let mut total = Total::default();
        let mut seen = HashSet::new();
        loop {
            let left = share.saturating_sub(start.elapsed()).as_secs();
            if total.deaths > 0 && left < 2 {
                return Ok(total);
            }
            let scratch = scratch()?;
            let output = worker(&self.executable)
                .env("POTSTILL_FUZZ_TARGET", &self.name)
                .env("POTSTILL_FUZZ_SECONDS", left.max(1).to_string())
                .env("POTSTILL_FUZZ_SEED", (seed + 1000 * total.deaths).to_string())
                .env("POTSTILL_FUZZ_FOLDER", scratch.path())
                .output()
                .context("cannot start the tests")?;
            let text = stdout(&output);
            let report = text.lines().find_map(|line| line.strip_prefix("fuzz report: "));
            let Some(report) = report.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
                total.deaths += 1;
                // What the runtime says of an allocation, a stack or a hang; a trace may follow.
                let words = String::from_utf8_lossy(&output.stderr);
                let words = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("no last words").to_owned();
                let kind: String = words.chars().filter(|c| !c.is_ascii_digit()).collect();
                if seen.insert(kind) {
                    total.findings.push(format!("{}: {words}; {}", output.status, self.keep(scratch.path(), out)?));
                }
                continue;
            };
            total.add(&report, out)?;
            return Ok(total);
        }
    }

    /// Copies all that lies in the folder of a worker that died; the first files are its input and what is beside it.
    fn keep(&self, scratch: &Path, out: &Path) -> Result<String> {
        let folder = (1..).map(|i| out.join(format!("{}-death-{i}", self.name))).find(|f| !f.exists());
        let folder = folder.context("no name is free")?;
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for entry in std::fs::read_dir(scratch)?.flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        Ok(folder.display().to_string())
    }
}

impl Total {
    fn add(&mut self, report: &Value, out: &Path) -> Result<()> {
        let number = |key: &str| report[key].as_u64().unwrap_or(0);
        self.inputs += number("inputs");
        self.accepted += number("accepted");
        self.outcomes = number("outcomes");
        self.peak_bytes = number("peak_bytes");
        self.slowest = report["slowest_seconds"].as_f64().unwrap_or(0.0);
        for finding in report["findings"].as_array().into_iter().flatten() {
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            let from = Path::new(text("input"));
            let to = out.join(from.file_name().unwrap_or_default());
            std::fs::create_dir_all(out)
                .and_then(|()| std::fs::copy(from, &to))
                .with_context(|| to.display().to_string())?;
            self.findings.push(format!("{}: {}; {}", text("kind"), text("message"), to.display()));
        }
        Ok(())
    }
}

/// A folder in memory where there is one: inputs are written thousands of times a second.
fn scratch() -> Result<tempfile::TempDir> {
    let builder = |folder: &Path| tempfile::Builder::new().prefix("potstill-fuzz-").tempdir_in(folder);
    builder(Path::new("/dev/shm")).or_else(|_| builder(&std::env::temp_dir())).context("cannot make a temporary folder")
}
