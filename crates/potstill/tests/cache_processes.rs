//! Processes that share the folder of a teacher's cache: one at a time, and never the answers of another teacher.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const CONFIG: &str = "[data]\ntrain = ['train.xyz']\n[model]\narchitecture = 'painn'\nhidden_channels = 32\nn_layers = 3\n\
n_radial = 16\ncutoff = 4.0\n[training]\nbatch_size = 2\nmax_steps = 1\n";
/// Enough that labelling takes a while.
const SYSTEMS: usize = 1500;

fn potstill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
    command.current_dir(folder).args(arguments).args(["--threads", "1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    finish(potstill(folder, arguments).spawn().unwrap())
}

/// Whether a process succeeded, and what it said.
fn finish(process: Child) -> (bool, String) {
    let output = process.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("panicked"), "{text}");
    (output.status.success(), text)
}

/// Molecules of water, and two models that say different things of them.
fn bench() -> TempDir {
    let folder = TempDir::new().unwrap();
    let water = |i: usize| {
        let x = 0.96 + 0.05 * (i as f64).sin();
        format!(
            "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy={} pbc=\"F F F\"\nO 0 0 0 0.1 0 0\nH {x} 0 0 -0.1 0.2 0\n\
             H -0.24 0.93 0 0 -0.2 0\n",
            -1.0 + 0.1 * (i as f64).cos()
        )
    };
    fs::write(folder.path().join("train.xyz"), (0..SYSTEMS).map(water).collect::<String>()).unwrap();
    fs::write(folder.path().join("train.toml"), CONFIG).unwrap();
    for seed in ["1", "2"] {
        let (good, text) = run(folder.path(), &["train", "train.toml", "--out", seed, "--seed", seed]);
        assert!(good, "{text}");
    }
    folder
}

fn label<'a>(model: &'a str, out: &'a str) -> [&'a str; 7] {
    ["label", "--model", model, "--data", "train.xyz", "--out", out]
}

const MODELS: [&str; 2] = ["1/model.safetensors", "2/model.safetensors"];

fn shard(folder: &Path, cache: &str) -> Vec<u8> {
    fs::read(folder.join(cache).join("shard-00000.safetensors")).unwrap()
}

#[test]
fn two_teachers_one_folder() {
    let place = bench();
    let folder = place.path();
    for (model, own) in MODELS.into_iter().zip(["own0", "own1"]) {
        assert!(run(folder, &label(model, own)).0);
    }
    assert!(shard(folder, "own0") != shard(folder, "own1"));
    for round in 0..3 {
        let shared = format!("shared{round}");
        let started = MODELS.map(|model| potstill(folder, &label(model, &shared)).spawn().unwrap());
        let outcomes = started.map(finish);
        let winner = outcomes.iter().position(|(good, _)| *good).unwrap();
        let (good, text) = &outcomes[1 - winner];
        assert!(!good && text.lines().filter(|line| line.starts_with("error: ")).count() == 1, "{text}");
        assert!(text.contains("is in use by process ") || text.contains("by teacher "), "{text}");
        assert!(shard(folder, &shared) == shard(folder, ["own0", "own1"][winner]));
    }
}

#[test]
fn a_killed_process_leaves_no_lock() {
    let place = bench();
    let folder = place.path();
    for pause in [30, 80, 150] {
        let mut killed = potstill(folder, &label(MODELS[0], "cache")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let (good, text) = run(folder, &label(MODELS[0], "cache"));
    assert!(good, "{text}");
    assert!(run(folder, &label(MODELS[0], "own")).0);
    assert!(shard(folder, "cache") == shard(folder, "own"));
    let left: Vec<_> = fs::read_dir(folder.join("cache")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn the_same_teacher_is_waited_for() {
    let place = bench();
    let folder = place.path();
    let started = [0; 3].map(|_| potstill(folder, &label(MODELS[0], "cache")).spawn().unwrap());
    let outcomes = started.map(finish);
    assert!(outcomes.iter().all(|(good, _)| *good), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(_, text)| text.contains("cache: made")).count(), 1, "{outcomes:?}");
}
