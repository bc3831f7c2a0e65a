//! Labelling and studies in parts, as the jobs of an array do them.

mod support;

use std::fs;

use support::{Bench, CONFIG, METHANE};

/// Systems of five atoms that fill more than two shards of a cache.
const METHANES: usize = 17_000;

/// A trained model, and systems enough for three shards.
fn many() -> Bench {
    let bench = Bench::trained();
    bench.write("many.xyz", &METHANE.repeat(METHANES));
    bench
}

fn label<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["label", "--model", "run/model.safetensors", "--data", "many.xyz", "--node", "--out", out], more].concat()
}

/// Names and contents of the files in a folder.
fn files(bench: &Bench, folder: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(bench.path(folder)).unwrap().map(|entry| entry.unwrap().path());
    let read =
        |path: std::path::PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap());
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    files
}

#[test]
fn parts_of_a_labelling_make_the_cache_of_the_whole() {
    let bench = many();
    bench.run(&label("whole", &[])).success();
    let whole = files(&bench, "whole");
    assert_eq!(whole.len(), 4, "three shards and their index");
    let first = bench.json(&label("parts", &["--part", "1/2", "--json"]));
    assert_eq!(first["complete"], false);
    assert_eq!(files(&bench, "parts").len(), 2);
    // A part that runs again finds its shards.
    let said = bench.run(&label("parts", &["--part", "1/2"])).success().get_output().stdout.clone();
    assert!(String::from_utf8(said).unwrap().contains("part 1/2 is done"));
    let last = bench.json(&label("parts", &["--part", "2/2", "--json"]));
    assert_eq!(last["n_systems"], METHANES);
    assert_eq!(files(&bench, "parts"), whole);
    // Part of a cache that is complete: nothing is asked again.
    bench.run(&label("parts", &["--part", "2/2"])).success();
    assert_eq!(files(&bench, "parts"), whole);
    bench.fails(
        &label("parts", &["--part", "1/2", "--vector"]),
        &["parts", "is a cache without vector", "another folder"],
    );
    bench.fails(&label("parts", &["--part", "1/2", "--feature-precision", "f32"]), &["is a cache in f16"]);
    bench.fails(&label("parts", &["--part", "0/2"]), &["--part 0/2", "2/8"]);
}

#[test]
fn parts_run_side_by_side_twice_and_from_several_folders() {
    let bench = many();
    bench.run(&label("whole", &[])).success();
    let whole = files(&bench, "whole");
    let spawn = |part: &str| bench.command(&label("shared", &["--part", part])).spawn().unwrap();
    let mut all = [spawn("1/3"), spawn("1/3"), spawn("2/3"), spawn("3/3")];
    all.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    // Whoever was last has completed it, unless two were last at a time.
    bench.run(&label("shared", &["--part", "1/3"])).success();
    assert_eq!(files(&bench, "shared"), whole);
    // Parts on machines without a common folder: their shards are brought together.
    bench.run(&label("here", &["--part", "1/2"])).success();
    bench.run(&label("there", &["--part", "2/2"])).success();
    for (name, bytes) in files(&bench, "there") {
        fs::write(bench.path("here").join(name), bytes).unwrap();
    }
    bench.run(&label("here", &[])).success();
    assert_eq!(files(&bench, "here"), whole);
}

/// Two runs of one student with two seeds, one of them with weights that are tuned.
const STUDY: &str = "teacher = 'run/model.safetensors'\ntest = ['train.xyz']\nseeds = [1, 2]\n[tuning]\nfactors = [0.5, 1.0]\n\
                     [[students]]\nname = 'tiny'\nconfig = 'train.toml'\n[[runs]]\nname = 'alone'\n\
                     [[runs]]\nname = 'n2n'\ntune = true\nterms = [{ strategy = 'n2n', weight = 1.0 }]\n";

#[test]
fn parts_of_a_study_make_its_table() {
    let bench = Bench::trained();
    // One file is training, validation and test.
    bench.write("train.toml", &CONFIG.replace("[model]", "checks = { leaks = 'warn' }\n[model]"));
    bench.write("study.toml", STUDY);
    let states = || -> Vec<String> {
        let listed = bench.json(&["study", "study.toml", "--out", "parts", "--list", "--json"]);
        listed.as_array().unwrap().iter().map(|cell| cell["state"].as_str().unwrap().to_owned()).collect()
    };
    let part = |part: &str| {
        let output =
            bench.run(&["study", "study.toml", "--out", "parts", "--part", part]).success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(states(), ["open"; 6]);
    assert!(part("1/2").contains("the trials of this part are done"));
    assert_eq!(states().iter().filter(|state| *state == "done").count(), 1);
    assert!(part("2/2").contains("belong to parts that are not"));
    assert!(part("1/2").contains("| n2n"), "all trainings are done");
    assert_eq!(states(), ["done"; 6]);
    let rows = |out: &str| bench.json(&["study", "study.toml", "--out", out, "--json"]);
    let (parts, whole) = (rows("parts"), rows("whole"));
    for (ours, theirs) in parts.as_array().unwrap().iter().zip(whole.as_array().unwrap()) {
        for key in ["student", "run", "energy_mae", "forces_mae"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
    }
}

#[test]
fn parts_of_generated_structures_are_the_whole_one_after_the_other() {
    let bench = Bench::trained();
    let generate = |out: &str, more: &[&str]| {
        let command =
            ["data", "generate", "--teacher", "run/model.safetensors", "--seeds", "train.xyz", "--method", "collide"];
        bench.run(&[&command[..], &["--per-seed", "8", "--output", out], more].concat()).success();
        fs::read_to_string(bench.path(out)).unwrap()
    };
    let whole = generate("whole.extxyz", &[]);
    let parts: String = (1..=3).map(|r| generate(&format!("{r}.extxyz"), &["--part", &format!("{r}/3")])).collect();
    assert!(parts == whole, "{parts}\n{whole}");
    let command =
        ["data", "generate", "--teacher", "run/model.safetensors", "--seeds", "train.xyz", "--method", "rattle"];
    bench.fails(
        &[&command[..], &["--output", "no.extxyz", "--part", "8/8"]].concat(),
        &["--part 8/8", "there are 4 seeds"],
    );
}

#[test]
#[cfg(not(feature = "mpi"))]
fn several_processes_need_mpi() {
    let bench = Bench::new();
    let mut command = bench.command(&["train", "train.toml", "--out", "run"]);
    let output = command.env("PMI_SIZE", "4").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: started as one of 4 processes") && said.contains("--features mpi"), "{said}");
    assert!(!bench.path("run").exists());
    // One process, as `mpirun -n 1` has it.
    assert!(
        bench.command(&["train", "train.toml", "--out", "run"]).env("PMI_SIZE", "1").output().unwrap().status.success()
    );
}
