//! Snapshots of the command line: exit status, standard output and standard error of every help page, of good runs and of
//! errors.
//!
//! `INSTA_UPDATE=always cargo test --release --workspace --test snapshots` writes them again after a change that is meant.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::{Bench, CONFIG, WATER};

/// Runs the program alone, in a terminal of no known width.
fn bare(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
    command.args(arguments).env_remove("COLUMNS").env_remove("CLICOLOR_FORCE").output().unwrap()
}

/// A command line with its exit status, standard output and standard error.
fn transcript(arguments: &[&str], output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let status = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("$ potstill {}\nexit status: {status}\n--- stdout\n{stdout}--- stderr\n{stderr}", arguments.join(" "))
}

/// The text without what differs between machines and runs: versions, fractions, times, sizes and hashes.
fn masked(text: &str) -> String {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "[version]");
    let lines = text.lines().map(|line| match line.split_once("  ") {
        Some((name @ ("training" | "hash" | "reference energies" | "normaliser"), _)) => format!("{name}  […]"),
        _ => masked_numbers(line),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line whose numbers are `#` where they have a fraction or stand before a unit of time, rate or size.
fn masked_numbers(line: &str) -> String {
    let mut words = line.split_inclusive(' ').peekable();
    let mut masked = String::new();
    while let Some(word) = words.next() {
        let next = words.peek().map_or("", |next| next.trim().trim_end_matches([';', ',', ':']));
        let number = word.trim().trim_matches(|c: char| !c.is_ascii_digit());
        let is_number = number.parse::<f64>().is_ok();
        let is_measured = ["s", "systems/s", "bytes", "meV", "meV/Å", "ms"].contains(&next);
        let hides = is_number && (is_measured || number.contains(['.', 'e']));
        masked += &if hides { word.replace(number, "#") } else { word.to_owned() };
    }
    // Columns are as wide as their numbers.
    let mut narrow = masked.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    narrow.insert_str(0, &" ".repeat(line.len() - line.trim_start().len()));
    narrow
}

/// Snapshot of a run in the folder of a test.
fn run(bench: &Bench, name: &str, arguments: &[&str]) {
    let output = bench.command(arguments).env_remove("COLUMNS").output().unwrap();
    insta::assert_snapshot!(name, masked(&transcript(arguments, &output)));
}

/// Names of the commands that a help page lists.
fn commands(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("\nCommands:\n").unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let name = |line: &str| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned);
    lines.filter(|line| !line.starts_with("   ")).filter_map(name).filter(|name| name != "help").collect()
}

#[test]
fn help_of_every_command() {
    let mut left = vec![Vec::<String>::new()];
    while let Some(words) = left.pop() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let output = bare(&arguments);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        left.extend(commands(&help).into_iter().map(|name| [&words[..], &[name]].concat()));
        let name = [&["help".to_owned()], &words[..]].concat().join("-");
        insta::assert_snapshot!(name, transcript(&arguments, &output));
    }
}

#[test]
fn good_runs_on_data() {
    let bench = Bench::new();
    bench.write("many.xyz", &WATER.repeat(10));
    run(&bench, "run-data-info", &["data", "info", "train.xyz"]);
    run(&bench, "run-data-convert", &["data", "convert", "train.xyz", "train.npz"]);
    run(&bench, "run-data-split", &["data", "split", "many.xyz", "--parts", "train=0.8", "test=2", "--out", "parts"]);
}

#[test]
fn good_runs_of_a_model() {
    let bench = Bench::new();
    let model = "run/model.safetensors";
    run(&bench, "run-train", &["train", "train.toml", "--out", "run"]);
    run(&bench, "run-info", &["info", model]);
    run(&bench, "run-evaluate", &["evaluate", "--model", model, "--data", "train.xyz"]);
    run(&bench, "run-predict", &["predict", "--model", model, "--input", "train.xyz", "--output", "out.xyz"]);
    run(&bench, "run-label", &["label", "--model", model, "--data", "train.xyz", "--out", "cache", "--node"]);
    run(&bench, "run-export", &["export", "--model", model, "--output", "ocp.safetensors"]);
    let missed = ["evaluate", "--model", model, "--data", "train.xyz", "--max-force-mae", "0"];
    run(&bench, "missed-threshold", &missed);
    let distill = "[distill]\nteacher = 'run/model.safetensors'\n[[distill.terms]]\nstrategy = 'n2n'\nweight = 1.0\n";
    bench.write("student.toml", &format!("{CONFIG}{distill}"));
    run(&bench, "run-distill", &["distill", "student.toml", "--out", "student"]);
}

#[test]
fn errors_of_command_lines() {
    let bench = Bench::new();
    run(&bench, "error-unknown-command", &["trian", "train.toml"]);
    run(&bench, "error-missing-argument", &["evaluate"]);
    run(&bench, "error-device", &["train", "train.toml", "--out", "x", "--device", "gpu"]);
    run(&bench, "error-range", &["study", "study.toml", "--out", "x", "--jobs", "0"]);
    run(&bench, "error-parts", &["data", "split", "train.xyz", "--parts", "train", "--out", "x"]);
}

#[test]
fn errors_of_files() {
    let bench = Bench::new();
    bench.write("cut.xyz", "3\nenergy=-1.0\nO 0 0 0\n");
    bench.write("bare.xyz", &WATER.replace("energy=-1.0", ""));
    bench.write("typo.toml", &CONFIG.replace("cutoff", "cutof"));
    fs::create_dir(bench.path("full")).unwrap();
    bench.write("full/note.txt", "not empty");
    run(&bench, "error-absent-file", &["info", "absent.safetensors"]);
    run(&bench, "error-no-model", &["info", "train.xyz"]);
    run(&bench, "error-cut-file", &["data", "info", "cut.xyz"]);
    run(&bench, "error-unknown-key", &["train", "typo.toml", "--out", "x"]);
    run(&bench, "error-full-folder", &["train", "train.toml", "--out", "full"]);
    run(&bench, "error-no-teacher", &["distill", "train.toml", "--out", "x"]);
    run(&bench, "error-no-energy", &["train", "train.toml", "--out", "x", "--set", "data.train=['bare.xyz']"]);
}
