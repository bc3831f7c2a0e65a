//! Trainings that start from the weights of another one.

mod support;

use potstill_core::model::Header;
use potstill_train::config::TrainingConfig;
use potstill_train::run::Data;
use support::{assert_same, config, data, painn, resume, run, schnet, systems, tensors, watched};

#[test]
fn a_run_starts_from_the_weights_and_the_scale_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let mut config = config(painn());
    run(&config, data(), &first).unwrap();
    let model = first.join("model.safetensors");
    config.training = TrainingConfig { start_from: Some(model.clone()), max_steps: Some(0), ..config.training };
    // Other data, whose fitted energies would be others.
    let other = other_data();
    run(&config, other.clone(), &second).unwrap();
    assert_eq!(tensors(&model), tensors(&second.join("model.safetensors")));
    let scale = |folder: &std::path::Path| Header::read(&folder.join("model.safetensors")).unwrap().scale;
    assert_eq!(scale(&first), scale(&second));

    // It goes on from there, and in parts as in one piece.
    config.training.max_steps = None;
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let steps = watched(&config, other.clone(), &whole);
    config.training.max_steps = Some(3);
    run(&config, other.clone(), &parts).unwrap();
    config.training.max_steps = None;
    resume(&config, other, &parts).unwrap();
    assert_same(&whole, &parts, "start_from");
    let mut fresh = config.clone();
    fresh.training.start_from = None;
    let fresh = watched(&fresh, other_data(), &folder.path().join("fresh"));
    assert!(steps[0].loss < fresh[0].loss, "{} {}", steps[0].loss, fresh[0].loss);
}

#[test]
fn another_network_or_element_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    run(&config(painn()), data(), &first).unwrap();
    let start_from = Some(first.join("model.safetensors"));
    for (model, key) in [(schnet(), "architecture"), (wider(), "cutoff")] {
        let mut config = config(model);
        config.training.start_from.clone_from(&start_from);
        let error = run(&config, data(), &folder.path().join("other")).unwrap_err().to_string();
        assert!(error.starts_with("training.start_from: ") && error.contains(&format!("has another {key}")), "{error}");
    }
    let mut config = config(painn());
    config.training.start_from = start_from;
    let mut data = data();
    let mut systems = data.train.as_slice().unwrap().to_vec();
    systems[0].atomic_numbers[0] = 16;
    data.train = systems.into();
    let error = run(&config, data, &folder.path().join("other")).unwrap_err().to_string();
    assert!(error.contains("does not know S"), "{error}");
}

/// Other systems than those of the first run.
fn other_data() -> Data {
    Data { train: systems(6, 900).into(), validation: systems(4, 500).into(), ..Data::default() }
}

/// The network of the other tests with another cutoff, which no weight shows.
fn wider() -> potstill_core::model::Architecture {
    match painn() {
        potstill_core::model::Architecture::PaiNN(mut settings) => {
            settings.cutoff = 5.5;
            potstill_core::model::Architecture::PaiNN(settings)
        }
        other => other,
    }
}
