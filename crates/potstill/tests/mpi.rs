//! Processes that `mpirun` starts: `cargo xtask ci --only mpi` builds the program with MPI and runs these tests.
//!
//! `MPIRUN` names the command that starts processes; default: `mpirun`.
#![cfg(feature = "mpi")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use safetensors::SafeTensors;
use support::{Bench, CONFIG, METHANE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_potstill");

fn mpirun(bench: &Bench) -> Command {
    let mut command = Command::new(std::env::var_os("MPIRUN").unwrap_or_else(|| "mpirun".into()));
    // Open MPI refuses root, and more processes than it sees processors, unless told otherwise.
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"] {
        command.env(name, "1");
    }
    command.current_dir(bench.path("")).env_remove("DISPLAY");
    command
}

/// Runs the program as so many processes of one thread.
fn together(bench: &Bench, n: usize, arguments: &[&str]) -> Output {
    let n = n.to_string();
    mpirun(bench).args(["-n", &n, PROGRAM]).args(arguments).args(["--threads", "1"]).output().unwrap()
}

fn succeeds(bench: &Bench, n: usize, arguments: &[&str]) -> Output {
    let output = together(bench, n, arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn errors(output: &Output) -> Vec<String> {
    text(&output.stderr).lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect()
}

/// Tensors of a model or state.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

fn assert_same(bench: &Bench, one: &str, other: &str) {
    for name in ["model.safetensors", "checkpoints/last.safetensors"] {
        let of = |folder: &str| tensors(&bench.path(folder).join(name));
        assert!(of(one) == of(other), "{name} of {one} and {other}");
    }
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("sharded.toml", &format!("{CONFIG}shards = 2\n"));
    bench
}

#[test]
fn training_has_the_same_bits_and_goes_on_with_another_number() {
    let bench = bench();
    bench.run(&["train", "sharded.toml", "--out", "alone"]).success();
    let output = succeeds(&bench, 2, &["train", "sharded.toml", "--out", "two"]);
    assert_eq!(text(&output.stdout).matches("finished: ").count(), 1, "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("2 processes of 1 threads"), "{}", text(&output.stderr));
    assert_same(&bench, "alone", "two");
    for n in [1, 4] {
        let out = format!("run-{n}");
        succeeds(&bench, n, &["train", "sharded.toml", "--out", &out]);
        assert_same(&bench, "alone", &out);
    }
    succeeds(&bench, 2, &["train", "sharded.toml", "--out", "parts", "--set", "training.max_steps=1"]);
    bench.run(&["train", "sharded.toml", "--out", "parts", "--resume", "--set", "training.max_steps=3"]).success();
    succeeds(&bench, 2, &["train", "sharded.toml", "--out", "parts", "--resume"]);
    assert_same(&bench, "alone", "parts");
}

#[test]
fn distillation_shares_labels_and_steps() {
    let bench = bench();
    bench.run(&["train", "train.toml", "--out", "run"]).success();
    let terms = "[distill]\nteacher = 'run/model.safetensors'\nterms = [{ strategy = 'node_to_node', weight = 'auto' }, \
                 { strategy = 'vanilla', energy_weight = 1.0, force_weight = 1.0 }]\n";
    bench.write("student.toml", &format!("{CONFIG}shards = 2\n{terms}"));
    bench.run(&["distill", "student.toml", "--out", "alone"]).success();
    succeeds(&bench, 2, &["distill", "student.toml", "--out", "two"]);
    assert_same(&bench, "alone", "two");
    bench.write("rounds.toml", &format!("{CONFIG}{terms}[distill.rounds]\nn = 1\n"));
    let output = together(&bench, 2, &["distill", "rounds.toml", "--out", "rounds"]);
    assert!(errors(&output)[0].contains("distill.rounds: does not share its work"), "{}", text(&output.stderr));
}

#[test]
fn labels_and_errors_are_those_of_one_process() {
    let bench = Bench::trained();
    bench.write("many.xyz", &METHANE.repeat(9_000));
    let label = ["label", "--model", "run/model.safetensors", "--data", "many.xyz", "--node", "--out"];
    bench.run(&[&label[..], &["alone"]].concat()).success();
    let made = succeeds(&bench, 2, &[&label[..], &["two"]].concat());
    assert_eq!(text(&made.stdout).matches("two: made; 9000 systems").count(), 1, "{}", text(&made.stdout));
    let again = succeeds(&bench, 2, &[&label[..], &["two"]].concat());
    assert!(text(&again.stdout).contains("already there, reused"), "{}", text(&again.stdout));
    for entry in fs::read_dir(bench.path("alone")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            fs::read(bench.path("alone").join(&name)).unwrap() == fs::read(bench.path("two").join(&name)).unwrap(),
            "{name:?}"
        );
    }
    let evaluate = [
        "evaluate",
        "--model",
        "run/model.safetensors",
        "--data",
        "many.xyz",
        "train.xyz",
        "--group-by",
        "name",
        "--json",
    ];
    let mut alone = bench.json(&evaluate);
    let mut two: serde_json::Value = serde_json::from_slice(&succeeds(&bench, 2, &evaluate).stdout).unwrap();
    for value in [&mut alone, &mut two] {
        value.as_object_mut().unwrap().remove("systems_per_second");
    }
    assert_eq!(alone, two);
    let output = together(&bench, 2, &[&evaluate[..], &["--max-force-mae", "0"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).matches("missed: ").count(), 1, "{}", text(&output.stderr));
}

#[test]
fn what_is_wrong_is_said_once_and_ends_all() {
    let bench = bench();
    let output = together(&bench, 2, &["train", "nothing.toml", "--out", "run"]);
    assert!(!output.status.success());
    assert_eq!(errors(&output).len(), 1, "{}", text(&output.stderr));
    assert!(errors(&output)[0].contains("nothing.toml"), "{}", text(&output.stderr));
    let output = together(&bench, 2, &["info", "run/model.safetensors"]);
    assert!(errors(&output)[0].contains("does not share its work among processes"), "{}", text(&output.stderr));
    // Two programs in one job, with different settings.
    let of = |rate: &str| {
        vec![
            "train".to_owned(),
            "sharded.toml".into(),
            "--out".into(),
            "run".into(),
            "--set".into(),
            format!("training.learning_rate={rate}"),
        ]
    };
    let output = mpirun(&bench)
        .args(["-n", "1", PROGRAM])
        .args(of("1e-3"))
        .args([":", "-n", "1", PROGRAM])
        .args(of("2e-3"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(errors(&output)[0].contains("rank 1: another version"), "{}", text(&output.stderr));
    // A second run in a folder that is in use or not empty.
    succeeds(&bench, 2, &["train", "sharded.toml", "--out", "again"]);
    let output = together(&bench, 2, &["train", "sharded.toml", "--out", "again"]);
    assert!(errors(&output)[0].contains("is not empty"), "{}", text(&output.stderr));
}

#[test]
fn a_killed_process_ends_all_and_the_run_goes_on() {
    let bench = bench();
    bench.write(
        "long.toml",
        &CONFIG.replace("epochs = 2", "epochs = 1000000\nmax_steps = 1000000\nshards = 2\ncheckpoint_steps = 5"),
    );
    let train = ["train", "long.toml", "--out", "run", "--threads", "1"];
    let script = format!("{PROGRAM} {} & p=$!; sleep 3; kill -9 $p; wait $p", train.join(" "));
    let output = mpirun(&bench)
        .args(["-n", "1", PROGRAM])
        .args(train)
        .args([":", "-n", "1", "sh", "-c", &script])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let state = bench.path("run/checkpoints/last.safetensors");
    assert!(state.exists(), "{}", text(&output.stderr));
    let output =
        succeeds(&bench, 2, &["train", "long.toml", "--out", "run", "--resume", "--set", "training.max_steps=6"]);
    assert!(text(&output.stderr).contains("resumed after step"), "{}", text(&output.stderr));
}
