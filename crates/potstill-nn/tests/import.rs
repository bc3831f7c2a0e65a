//! Checkpoints of the Open Catalyst Project: what comes out, what goes back, and what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use potstill_core::Potential;
use potstill_core::files::checksum;
use potstill_core::model::Architecture;
use potstill_data::io::torch::TorchFile;
use potstill_fixtures::{self as fixtures, Golden};
use potstill_fixtures_macros::needs_full_set;
use potstill_nn::Model;
use potstill_nn::import::{ImportOptions, export, import, read_scale_factors};
use potstill_testkit::golden;
use serde_json::Value;

/// Best checkpoints of the golden set, each with the model case that has its weights.
fn best_checkpoints() -> Vec<(PathBuf, String)> {
    let cases = fixtures::cases("models");
    let with_case = |checkpoint: PathBuf| {
        let case = cases.iter().find(|case| has_weights_of(&checkpoint, case));
        let case = case.unwrap_or_else(|| panic!("no case has the weights of {}", checkpoint.display())).clone();
        (checkpoint, case)
    };
    fixtures::files("checkpoints", "best_checkpoint.pt").into_iter().map(with_case).collect()
}

/// Whether all weights of a case are in a checkpoint.
fn has_weights_of(checkpoint: &Path, case: &str) -> bool {
    let file = TorchFile::open(checkpoint).unwrap();
    let tensors = file.tensors(file.root().get("state_dict").unwrap()).unwrap();
    let named = |key: &str| tensors.iter().find(|(name, _)| name.trim_start_matches("module.") == key);
    weights(case).iter().all(|(key, golden)| {
        named(key).is_some_and(|(_, tensor)| file.read(tensor).unwrap().into_f64() == golden.values)
    })
}

fn weights(case: &str) -> BTreeMap<String, Golden> {
    fixtures::read(&fixtures::file(&format!("models/{case}/model.safetensors")))
}

fn config(case: &str) -> Value {
    fixtures::json(&fixtures::file(&format!("models/{case}/config.json")))
}

fn has_scales(case: &str) -> bool {
    config(case)["num_scale_factors"] != 0
}

/// The best checkpoint of a PaiNN and its case.
fn painn() -> (PathBuf, String) {
    let is_painn = |(_, case): &(PathBuf, String)| config(case)["model"]["name"] == "painn";
    best_checkpoints().into_iter().find(is_painn).expect("the set has a checkpoint of a PaiNN")
}

/// The model that a checkpoint becomes, with the scale factors of its case.
fn imported(checkpoint: &Path, case: &str, folder: &Path) -> Model {
    let scale_factors = has_scales(case).then(|| fixtures::file(&format!("models/{case}/scale_factors.pt")));
    let options = ImportOptions { scale_factors, ..ImportOptions::default() };
    let output = folder.join("model.safetensors");
    import(checkpoint, &options, &output).unwrap();
    assert!(checksum::verify(&output, &std::fs::read(&output).unwrap()[..]).unwrap(), "{case} has a checksum");
    Model::load(&output, &Device::flex(), DType::F64).unwrap()
}

#[test]
fn imported_models_predict_what_the_reference_does() {
    for (checkpoint, case) in best_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let model = imported(&checkpoint, &case, folder.path());
        let normalizer = model.header().scale.normalizer;
        let structures = config(&case)["grads_structures"].clone();
        for structure in structures.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            let expected = fixtures::file(&format!("models/{case}/out_{structure}.safetensors"));
            let expected = fixtures::read(&expected);
            let system = golden::structure(&fixtures::files("structures", ".extxyz"), structure);
            let prediction = model.evaluate(&[&system]).unwrap();
            let energy = normalizer.denormalize_energy(expected["f64.energy"].values[0]);
            assert!((prediction.energy[0] - energy).abs() < 1e-9 * energy.abs(), "{case} {structure}");
            for (found, golden) in prediction.forces.as_flattened().iter().zip(&expected["f64.forces"].values) {
                let golden = normalizer.denormalize_force(*golden);
                assert!((found - golden).abs() < 1e-8, "{case} {structure}: {found} {golden}");
            }
        }
    }
}

#[test]
fn exports_hold_the_state_dict() {
    for (checkpoint, case) in best_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let model = imported(&checkpoint, &case, folder.path());
        let (output, scales) = (folder.path().join("out.safetensors"), folder.path().join("scales.safetensors"));
        export(&model, &output, Some(&scales)).unwrap();
        let ours = fixtures::read(&output);
        let mut compared = 0;
        for (key, golden) in weights(&case).iter().filter(|(key, _)| !key.contains("_mapping")) {
            let own = ours.get(key).unwrap_or_else(|| panic!("{case}: {key} is not exported"));
            assert_eq!((&own.shape, &own.values), (&golden.shape, &golden.values), "{case} {key}");
            compared += 1;
        }
        assert_eq!(compared, ours.len(), "{case}");
        if has_scales(&case) {
            let theirs = fixtures::read(&fixtures::file(&format!("models/{case}/scale_factors.safetensors")));
            assert!(fixtures::read(&scales).iter().all(|(key, own)| own.values == theirs[key].values), "{case}");
        }
    }
}

#[needs_full_set]
#[test]
fn averaged_weights_on_request() {
    let [checkpoint] = &fixtures::files("checkpoints", "training_state.pt")[..] else { panic!("one training state") };
    let folder = tempfile::tempdir().unwrap();
    let [latest, averaged] = ["latest", "averaged"].map(|name| folder.path().join(name));
    let options = ImportOptions { allow_unit_scales: true, ..ImportOptions::default() };
    import(checkpoint, &options, &latest).unwrap();
    import(checkpoint, &ImportOptions { use_ema: true, ..options.clone() }, &averaged).unwrap();
    let (latest, averaged) = (fixtures::read(&latest), fixtures::read(&averaged));
    assert_eq!(latest.keys().collect::<Vec<_>>(), averaged.keys().collect::<Vec<_>>());
    // The order of the averages is that of the parameters: a mistake would mix shapes or values.
    for (key, golden) in &latest {
        assert!(golden.relative_difference(&averaged[key].values) < 0.5, "{key}");
    }
    let (best, _) = painn();
    let refused = import(&best, &ImportOptions { use_ema: true, ..options }, &folder.path().join("x")).unwrap_err();
    assert!(refused.to_string().contains("leave out --use-ema"), "{refused}");
}

#[needs_full_set]
#[test]
fn legacy_files_are_read_alike() {
    let [legacy] = &fixtures::files("checkpoints", "legacy_not_zip.pt")[..] else { panic!("one legacy file") };
    let folder = tempfile::tempdir().unwrap();
    let options = ImportOptions { allow_unit_scales: true, ..ImportOptions::default() };
    let imported = import(legacy, &options, &folder.path().join("legacy.safetensors")).unwrap();
    assert!(matches!(imported.header.model, Architecture::PaiNN(_)));
}

#[test]
fn published_scale_files() {
    for path in fixtures::files("checkpoints", "scaling_factors.pt") {
        let factors = read_scale_factors(&path).unwrap();
        let file = TorchFile::open(&path).unwrap();
        let n = file.tensors(file.root()).unwrap().len();
        assert!(n > 0 && factors.len() == n, "{}: {} of {n} factors", path.display(), factors.len());
        assert!(factors.values().all(|v| v.is_finite() && *v > 0.0), "{factors:?}");
    }
}

#[needs_full_set]
#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let (checkpoint, case) = painn();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("model.safetensors");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let model = config(&case)["model"].clone();
    let [h, n, radial] = ["hidden_channels", "num_layers", "num_rbf"].map(|key| model[key].as_u64().unwrap());
    let painn =
        |h: u64, n: u64| format!("model: {{name: painn, hidden_channels: {h}, num_layers: {n}, num_rbf: {radial}}}\n");
    let cases = [
        (painn(h, n - 1), format!("not part of it: message_layers.{}", n - 1)),
        (painn(h, n + 1), format!("missing: message_layers.{n}")),
        (painn(h / 2, n), "expected shape".to_owned()),
    ];
    let of = |(text, expected): (&str, &str)| (text.to_owned(), expected.to_owned());
    let others = [
        ("model: {name: schnet}\n", "missing"),
        ("model: {name: dimenetplusplus}\n", "schnet, painn and gemnet_oc can"),
        ("model: {name: painn, hidden_chanels: 32}\n", "hidden_chanels"),
        ("model: {name: painn, direct_forces: false}\n", "not gradients of their energy"),
        ("model: {name: painn, hidden_channels: wide}\n", "expected a whole number"),
        ("optim: {}\n", "no `model` section"),
    ];
    let cases = cases.into_iter().chain(others.map(of));
    for (text, expected) in cases {
        let options = ImportOptions { config: Some(write("model.yml", &text)), ..ImportOptions::default() };
        let message = import(&checkpoint, &options, &output).unwrap_err().to_string();
        assert!(message.contains(&expected) && !message.contains('\n'), "{text}: {message}");
        assert!(!output.exists());
    }
    let scales = fixtures::files("checkpoints", "scaling_factors.pt");
    let foreign = scales.iter().find(|path| path.to_string_lossy().contains("gemnet")).cloned();
    assert!(foreign.is_some(), "scale factors of a GemNet-OC");
    let options = ImportOptions { scale_factors: foreign, ..ImportOptions::default() };
    let message = import(&checkpoint, &options, &output).unwrap_err().to_string();
    assert!(message.contains("upd_out_scalar_scale_0") && message.contains("--allow-unit-scales"), "{message}");
    assert!(!output.exists());
}
