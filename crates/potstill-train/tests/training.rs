//! Whole runs: they learn, they resume, they repeat, and they say what is wrong.
#![allow(clippy::print_stdout, reason = "tests tell what they found")]

mod support;

use potstill_core::model::Header;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use potstill_core::Precision;
use potstill_train::folder::{RunFolder, Start};
use potstill_train::mix::Mix;
use potstill_train::observer::Ending;
use potstill_train::run::{Data, train};
use potstill_train::schedule::ScheduleConfig;
use support::{Watcher, assert_same, config, data, painn, resume, run, schnet, systems, watched};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn started(path: &Path, start: Start) -> RunFolder {
    RunFolder::open(path, start).unwrap()
}

#[test]
fn networks_learn_four_molecules() {
    for model in [schnet(), painn()] {
        let name = model.name();
        let mut config = config(model);
        config.training.batch_size = 4;
        config.training.epochs = 250;
        config.training.validate_every = 250;
        config.training.learning_rate = 1e-2;
        config.training.schedule = ScheduleConfig::Cosine { warmup_steps: 10, total_steps: None, final_factor: 0.01 };
        let steps = watched(&config, Data { train: systems(4, 1).into(), ..Data::default() }, folder().path());
        let (first, last) = (steps[0].loss, steps[steps.len() - 1].loss);
        println!("{name}: loss {first:.3} to {last:.3} in {} steps", steps.len());
        assert!(last < 0.1 * first, "{name}: loss {first} to {last}");
    }
}

/// A configuration that remembers much between steps.
fn memorable() -> potstill_train::config::Config {
    let mut config = config(painn());
    config.training.schedule =
        ScheduleConfig::Plateau { factor: 0.5, patience: 0, threshold: 0.5, cooldown: 1, min_factor: 0.0 };
    config
}

#[test]
fn a_run_that_stopped_goes_on_exactly() {
    let config = memorable();
    let whole = folder();
    let summary = run(&config, data(), whole.path()).unwrap();
    assert_eq!((summary.ending, summary.steps), (Ending::Finished, 16));
    // One step in, in mid-epoch, at the end of an epoch, just before the end.
    for stop in [1, 6, 8, 15] {
        let parts = folder();
        let mut first = config.clone();
        first.training.max_steps = Some(stop);
        assert_eq!(run(&first, data(), parts.path()).unwrap().steps, stop);
        assert_eq!(resume(&config, data(), parts.path()).unwrap().steps, 16);
        assert_same(whole.path(), parts.path(), &format!("stopped after {stop}"));
    }
}

#[test]
fn a_validation_that_only_the_stop_made_is_forgotten() {
    let mut config = memorable();
    // Steps so long that weights in mid-epoch are often better than those at its end.
    config.training.learning_rate = 0.1;
    let whole = folder();
    run(&config, data(), whole.path()).unwrap();
    let best =
        |place: &Path| Header::read(&place.join("model.safetensors")).unwrap().training["validation_loss"].as_f64();
    let mut n_better = 0;
    for stop in 1..16 {
        let parts = folder();
        let mut first = config.clone();
        first.training.max_steps = Some(stop);
        run(&first, data(), parts.path()).unwrap();
        n_better += usize::from(best(parts.path()) < best(whole.path()));
        resume(&config, data(), parts.path()).unwrap();
        assert_same(whole.path(), parts.path(), &format!("stopped after {stop}"));
    }
    assert!(n_better > 0, "no stop had better weights than the whole run: this test shows nothing");
}

#[test]
fn a_run_that_ended_between_validations_goes_on_exactly() {
    let mut config = memorable();
    (config.training.validate_every, config.training.epochs) = (2, 6);
    let (whole, parts) = (folder(), folder());
    run(&config, data(), whole.path()).unwrap();
    let mut first = config.clone();
    first.training.epochs = 3;
    run(&first, data(), parts.path()).unwrap();
    resume(&config, data(), parts.path()).unwrap();
    assert_same(whole.path(), parts.path(), "three epochs, then three");
}

#[test]
fn an_interrupted_run_goes_on_exactly() {
    let config = memorable();
    let (whole, parts) = (folder(), folder());
    run(&config, data(), whole.path()).unwrap();
    let flag = AtomicBool::new(false);
    let mut watcher = Watcher { interrupt_at: Some((7, &flag)), ..Watcher::default() };
    let summary = train(&config, data(), &started(parts.path(), Start::New), &flag, &mut watcher, &|_| {}).unwrap();
    assert_eq!((summary.ending, summary.steps), (Ending::Interrupted, 7));
    resume(&config, data(), parts.path()).unwrap();
    assert_same(whole.path(), parts.path(), "interrupted");
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let mut config = memorable();
    config.training.checkpoint_steps = Some(5);
    let (whole, parts) = (folder(), folder());
    run(&config, data(), whole.path()).unwrap();
    for kill in [7, 14] {
        let killed = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut watcher = Watcher { panic_at: Some(kill), ..Watcher::default() };
            let again = if kill > 7 { Start::Resume } else { Start::New };
            train(&config, data(), &started(parts.path(), again), &AtomicBool::new(false), &mut watcher, &|_| {})
        }));
        assert!(killed.is_err());
    }
    resume(&config, data(), parts.path()).unwrap();
    assert_same(whole.path(), parts.path(), "killed twice");
    // Lines of steps that were lost and made again appear once.
    let text = std::fs::read_to_string(parts.path().join("metrics.jsonl")).unwrap();
    let steps: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["validation_loss"].is_null())
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert!(steps.windows(2).all(|w| w[0] < w[1]), "{steps:?}");
}

#[test]
fn only_the_same_run_resumes() {
    let config = memorable();
    let place = folder();
    // There is nothing to go on from yet: the run starts.
    assert_eq!(resume(&config, data(), place.path()).unwrap().steps, 16);
    let mut other = config.clone();
    other.training.learning_rate = 1e-4;
    let fewer = Data { train: systems(9, 100).into(), ..data() };
    for (config, data) in [(&other, data()), (&config, fewer)] {
        let message = resume(config, data, place.path()).unwrap_err().to_string();
        assert!(message.contains("another configuration or dataset"), "{message}");
    }
    let path = place.path().join("checkpoints/last.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = resume(&config, data(), place.path()).unwrap_err().to_string();
        assert!(message.contains("not a complete training state"), "{message}");
    }
}

fn with_threads<R: Send>(n: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}

#[test]
fn the_same_seed_and_threads_give_the_same_bits() {
    for threads in [1, 2, 3] {
        let (one, other) = (folder(), folder());
        for place in [&one, &other] {
            with_threads(threads, || run(&memorable(), data(), place.path()).unwrap());
        }
        assert_same(one.path(), other.path(), &format!("{threads} threads"));
    }
    let (one, other) = (folder(), folder());
    run(&memorable(), data(), one.path()).unwrap();
    let mut seeded = memorable();
    seeded.seed += 1;
    run(&seeded, data(), other.path()).unwrap();
    let model = |place: &Path| support::tensors(&place.join("model.safetensors"));
    assert_ne!(model(one.path()), model(other.path()));
}

#[test]
fn numbers_of_threads_agree_but_for_rounding() {
    for (dtype, limit) in [(Precision::F64, 1e-11), (Precision::F32, 1e-5)] {
        let losses = |threads: usize| -> Vec<f64> {
            let mut config = memorable();
            config.training.dtype = dtype;
            let steps = with_threads(threads, || watched(&config, data(), folder().path()));
            steps.iter().map(|s| s.loss).collect()
        };
        let one = losses(1);
        for threads in [2, 3] {
            for (k, (a, b)) in one.iter().zip(losses(threads)).enumerate() {
                assert!((a - b).abs() <= limit * a.abs(), "{dtype:?}, {threads} threads, step {k}: {a} and {b}");
            }
        }
    }
}

#[test]
fn little_memory_gives_the_same_steps_but_for_rounding() {
    let losses = |gib: f64| -> Vec<f64> {
        let mut config = memorable();
        config.training.dtype = Precision::F64;
        config.training.activation_gib = gib;
        let steps = with_threads(2, || watched(&config, data(), folder().path()));
        steps.iter().map(|s| s.loss).collect()
    };
    // One system at a time, and two threads with half a batch each.
    let (parts, whole) = (losses(1e-9), losses(4.0));
    assert_ne!(parts, whole, "batches were not cut");
    for (k, (a, b)) in parts.iter().zip(&whole).enumerate() {
        assert!((a - b).abs() <= 1e-11 * b.abs(), "step {k}: {a} and {b}");
    }
}

#[test]
fn a_loss_that_explodes_names_step_and_systems() {
    let mut config = config(schnet());
    config.training.learning_rate = 1e30;
    config.training.checkpoint_steps = Some(1);
    let place = folder();
    let message = run(&config, data(), place.path()).unwrap_err().to_string();
    assert!(message.starts_with("step 2: loss ") && message.contains("gradient norm"), "{message}");
    assert!(message.contains("(molecule-") && message.contains("training.learning_rate"), "{message}");
    assert!(message.contains("the last good checkpoint is") && !message.contains('\n'), "{message}");
    assert!(place.path().join("checkpoints/last.safetensors").exists());
}

#[test]
fn missing_labels_are_errors() {
    let config = config(schnet());
    let mut bare = systems(10, 100);
    bare[6].forces = None;
    let bare = Data { train: bare.into(), ..data() };
    let message = run(&config, bare, folder().path()).unwrap_err().to_string();
    assert!(message.contains("data.train") && message.contains("forces"), "{message}");
    assert!(message.contains("training.force_weight"), "{message}");

    let mut bare = systems(4, 500);
    bare[1].energy = None;
    let bare = Data { validation: bare.into(), ..data() };
    let message = run(&config, bare, folder().path()).unwrap_err().to_string();
    assert!(message.contains("data.validation") && message.contains("energy"), "{message}");

    let message = run(&config, Data::default(), folder().path()).unwrap_err().to_string();
    assert!(message.contains("data.train"), "{message}");
}

#[test]
fn forces_are_not_needed_without_their_weight() {
    let mut config = config(schnet());
    config.training.force_weight = 0.0;
    config.data.normalization = potstill_data::dataset::Normalization::Energy;
    let mut bare = systems(14, 100);
    bare.iter_mut().for_each(|s| s.forces = None);
    let validation = bare.split_off(10).into();
    let bare = Data { train: bare.into(), validation, ..Data::default() };
    assert_eq!(run(&config, bare, folder().path()).unwrap().ending, Ending::Finished);
}

#[test]
fn synthetic_systems_count_as_much_as_they_should() {
    let mut config = config(schnet());
    config.training.dtype = Precision::F64;
    config.training.batch_size = 100;
    config.training.epochs = 3;
    let mixed = |weight, labels, labelled: bool| {
        let mut config = config.clone();
        config.data.synthetic = vec!["synthetic.extxyz".into()];
        config.data.mix = Some(Mix { synthetic: 0.5, weight, labels });
        // As many atoms as the others: forces are averaged over atoms, weights belong to systems.
        let mut synthetic = systems(10, 900);
        if !labelled {
            synthetic.iter_mut().for_each(|s| (s.energy, s.forces) = (None, None));
        }
        let place = folder();
        let mut watcher = Watcher::default();
        let data = Data { synthetic: synthetic.into(), ..data() };
        let off = AtomicBool::new(false);
        train(&config, data, &started(place.path(), Start::New), &off, &mut watcher, &|_| {}).map(|_| watcher.steps)
    };
    let plain = watched(&config, data(), folder().path());
    // Without their labels they change nothing here, whatever they weigh, though each epoch visits them.
    let silent = mixed(3.0, false, false).unwrap();
    assert_eq!(silent.iter().map(|s| s.n_systems).collect::<Vec<_>>(), [20, 20, 20]);
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
    assert!(silent.iter().zip(&plain).all(|(a, b)| close(a.loss, b.loss)), "{silent:?} {plain:?}");
    // With hardly any weight they change hardly anything, with more they do.
    let light = mixed(1e-6, true, true).unwrap();
    let heavy = mixed(1.0, true, true).unwrap();
    assert!((light[0].loss / plain[0].loss - 1.0).abs() < 1e-4 && (heavy[0].loss / plain[0].loss - 1.0).abs() > 1e-3);
    let message = mixed(1.0, true, false).unwrap_err().to_string();
    assert!(message.contains("data.synthetic") && message.contains("data.mix.labels = false"), "{message}");
}

#[test]
fn settings_out_of_range_are_named() {
    type Change = fn(&mut potstill_train::config::TrainingConfig);
    let changes: [(&str, Change); 7] = [
        ("training.learning_rate", |t| t.learning_rate = f64::NAN),
        ("training.batch_size", |t| t.batch_size = 0),
        ("training.ema_decay", |t| t.ema_decay = 1.0),
        ("training.force_weight", |t| t.force_weight = -1.0),
        ("training.max_minutes", |t| t.max_minutes = Some(0.0)),
        ("training.optimizer.betas", |t| t.optimizer.betas = [0.9, 1.0]),
        ("training.schedule.factor", |t| {
            t.schedule =
                ScheduleConfig::Plateau { factor: 2.0, patience: 0, threshold: 0.0, cooldown: 0, min_factor: 0.0 };
        }),
    ];
    for (key, change) in changes {
        let mut config = config(schnet());
        change(&mut config.training);
        let message = run(&config, data(), folder().path()).unwrap_err().to_string();
        assert!(message.starts_with(key), "{message}");
    }
}
