//! Folders of runs: who may write into them, what stays of an old run and when it goes.

mod support;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use potstill_train::config::Config;
use potstill_train::folder::{RunFolder, Start};
use potstill_train::run::{Data, train};
use support::{Watcher, config, data, resume, run, schnet, systems, tensors};

/// Bytes of all files below a folder by name.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true => all.extend(contents(&entry.path()).into_iter().map(|(inner, b)| (format!("{name}/{inner}"), b))),
            false => drop(all.insert(name, std::fs::read(entry.path()).unwrap())),
        }
    }
    all
}

/// A finished run.
fn finished() -> (Config, tempfile::TempDir) {
    let (config, place) = (config(schnet()), tempfile::tempdir().unwrap());
    run(&config, data(), place.path()).unwrap();
    (config, place)
}

/// Another run in the same place, which stops as by a power cut after `panic_at` steps.
fn replace(place: &Path, data: Data, panic_at: Option<u64>) -> potstill_core::Result<()> {
    let mut other = config(schnet());
    other.seed = 99;
    let mut watcher = Watcher { panic_at, ..Watcher::default() };
    let folder = RunFolder::open(place, Start::Replace)?;
    train(&other, data, &folder, &AtomicBool::new(false), &mut watcher, &|_| {}).map(|_| ())
}

#[test]
fn a_folder_in_use_is_refused() {
    let (config, place) = finished();
    let before = contents(place.path());
    let held = RunFolder::open(place.path(), Start::Resume).unwrap();
    for start in [Start::New, Start::Resume, Start::Replace] {
        let message = RunFolder::open(place.path(), start).unwrap_err().to_string();
        assert!(message.contains("in use") && message.contains(&std::process::id().to_string()), "{message}");
    }
    drop(held);
    assert_eq!(contents(place.path()), before);
    assert_eq!(resume(&config, data(), place.path()).unwrap().steps, 16);
}

#[test]
fn an_old_run_stays_until_the_new_one_has_made_a_step() {
    let (_, place) = finished();
    let before = contents(place.path());
    // Data without labels, data that is not there, and a power cut in the first step.
    let mut bare = systems(10, 100);
    bare[3].forces = None;
    replace(place.path(), Data { train: bare.into(), ..data() }, None).unwrap_err();
    assert_eq!(contents(place.path()), before);
    replace(place.path(), Data::default(), None).unwrap_err();
    assert_eq!(contents(place.path()), before);
    let cut = |step| std::panic::catch_unwind(AssertUnwindSafe(|| replace(place.path(), data(), Some(step))));
    assert!(cut(1).is_err());
    assert_eq!(contents(place.path()), before);
    // One step later the old run is gone and the new one can go on.
    assert!(cut(2).is_err());
    let names: Vec<String> = contents(place.path()).into_keys().collect();
    assert_eq!(names, ["checkpoints/last.safetensors", "config.toml", "environment.json"]);
    let mut other = config(schnet());
    other.seed = 99;
    assert_eq!(resume(&other, data(), place.path()).unwrap().steps, 16);
}

#[test]
fn a_replacement_that_was_cut_off_is_undone() {
    let (config, place) = finished();
    let before = contents(place.path());
    // As a power cut leaves it after the first half of the files, and after all of them.
    for names in
        [&["checkpoints", "config.toml"][..], &["checkpoints", "config.toml", "model.safetensors", "metrics.jsonl"]]
    {
        let aside = place.path().join(".potstill-replaced");
        std::fs::create_dir(&aside).unwrap();
        names.iter().for_each(|name| std::fs::rename(place.path().join(name), aside.join(name)).unwrap());
        std::fs::create_dir(place.path().join("checkpoints")).unwrap();
        std::fs::write(place.path().join("config.toml"), "of the new run").unwrap();
        drop(RunFolder::open(place.path(), Start::Resume).unwrap());
        assert_eq!(contents(place.path()), before);
    }
    assert_eq!(resume(&config, data(), place.path()).unwrap().steps, 16);
}

#[test]
fn a_refused_run_changes_nothing() {
    let (mut config, place) = finished();
    let before = contents(place.path());
    config.training.learning_rate *= 2.0;
    config.training.epochs += 1;
    resume(&config, data(), place.path()).unwrap_err();
    assert_eq!(contents(place.path()), before);
    let message = run(&config, data(), place.path()).unwrap_err().to_string();
    assert!(message.contains("--resume") && message.contains("--overwrite"), "{message}");
    assert_eq!(contents(place.path()), before);
}

#[test]
fn only_what_a_run_left_is_resumed() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("notes.txt"), "mine").unwrap();
    for start in [Start::New, Start::Resume] {
        let message = RunFolder::open(place.path(), start).unwrap_err().to_string();
        assert!(message.contains("another --out"), "{message}");
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("model.safetensors"), "of a run whose checkpoints are gone").unwrap();
    let message = RunFolder::open(place.path(), Start::Resume).unwrap_err().to_string();
    assert!(message.contains("holds no checkpoint to resume, but model.safetensors"), "{message}");
}

#[test]
fn a_shipped_model_is_replaced_as_a_whole() {
    let (mut config, place) = finished();
    let (model, link) = (place.path().join("model.safetensors"), place.path().join("kept.safetensors"));
    std::fs::hard_link(&model, &link).unwrap();
    let before = std::fs::read(&link).unwrap();
    config.training.epochs += 2;
    resume(&config, data(), place.path()).unwrap();
    assert_ne!(tensors(&model), tensors(&link), "the longer run ships the same weights: this test shows nothing");
    assert_eq!(std::fs::read(&link).unwrap(), before, "written in place: a kill would leave half a model");
}

#[test]
fn leftovers_of_killed_runs_are_removed() {
    let (config, place) = finished();
    let left = [".potstill-abc.tmp", "checkpoints/.potstill-def.tmp"].map(|name| place.path().join(name));
    left.iter().for_each(|path| std::fs::write(path, "half a file").unwrap());
    resume(&config, data(), place.path()).unwrap();
    assert!(left.iter().all(|path| !path.exists()));
}
