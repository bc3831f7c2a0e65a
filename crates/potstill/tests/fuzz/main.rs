//! Fuzzing of every reader: a short run of each target with the other tests, long ones by `cargo xtask fuzz`.
//!
//! `corpus/TARGET/` holds inputs to start from, `regressions/TARGET/` those that once showed a defect. A target that is
//! added to [`targets`] takes part in all of it; `docs/book/src/explanation/robustness.md` says more.

mod checkpoints;
mod inputs;
mod models;
mod settings;
mod systems;
mod teachers;

use std::path::Path;

use potstill_testkit::fuzz::{self, Target, memory::Limited};

/// What a reader asks for beyond [`fuzz::memory::LIMIT`] it does not get.
#[global_allocator]
static ALLOCATOR: Limited = Limited;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz");

fn targets() -> Vec<Target> {
    let all = [systems::targets(), checkpoints::targets(), models::targets(), teachers::targets(), settings::targets()];
    all.into_iter().flatten().collect()
}

/// Inputs of a target in the repository.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    fuzz::corpus(&Path::new(FOLDER).join("corpus").join(name))
}

/// One test for each target, so that they share the cores and a failure has a name.
macro_rules! short_runs {
    ($($name:ident: $target:literal, $inputs:literal;)*) => {
        $(#[test]
        fn $name() {
            let target = targets().into_iter().find(|t| t.name == $target).expect("a target of that name");
            fuzz::check(&target, $inputs);
        })*

        #[test]
        fn every_target_has_a_short_run() {
            let run = [$($target),*];
            for target in targets() {
                assert!(run.contains(&target.name), "{} has none", target.name);
            }
        }
    };
}

short_runs! {
    extended_xyz: "extxyz", 60_000;
    compressed_extended_xyz: "compressed", 30_000;
    label_keys: "keys", 60_000;
    graphs: "graph", 20_000;
    npz: "npz", 20_000;
    lmdb: "lmdb", 40_000;
    oc20_records: "oc20", 30_000;
    stored_index: "index", 6_000;
    pickle: "pickle", 30_000;
    torch_files: "torch", 40_000;
    imported_checkpoints: "import", 10_000;
    model_header_and_weights: "model", 10_000;
    engine_model: "engine", 10_000;
    training_state: "state", 20_000;
    teacher_cache_index: "cache-index", 20_000;
    teacher_cache_shard: "cache-shard", 10_000;
    label_files: "label-file", 20_000;
    configuration: "config", 20_000;
    imported_yaml: "yaml", 20_000;
}

#[test]
fn inputs_that_showed_defects_are_read_or_refused() {
    let folder = Path::new(FOLDER).join("regressions");
    let n: usize = targets().iter_mut().map(|target| fuzz::regressions(target, &folder)).sum();
    // These are tested in the program itself.
    let elsewhere = ["settings", "study"];
    let folders = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap());
    let ours = folders.filter(|f| !elsewhere.iter().any(|name| f.file_name() == *name));
    let n_files: usize = ours.map(|f| std::fs::read_dir(f.path()).unwrap().count()).sum();
    assert_eq!(n, n_files, "a folder of inputs has the name of no target");
}

#[test]
#[ignore = "runs for as long as it is told; use `cargo xtask fuzz`"]
fn fuzz_worker() {
    fuzz::worker(&targets());
}

#[test]
#[ignore = "writes the corpus; needed when a format changes"]
fn write_corpus() {
    inputs::write(&Path::new(FOLDER).join("corpus"));
}
