//! Checkpoints of the Open Catalyst Project: what comes out, what goes back, and what is refused.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use potstill_core::Potential;
use potstill_core::files::checksum;
use potstill_core::model::Architecture;
use potstill_nn::Model;
use potstill_nn::import::{ImportOptions, export, import, read_scale_factors};
use potstill_testkit::golden;

/// Checkpoints, the model cases whose weights they hold, and structures with golden outputs.
const CHECKPOINTS: [(&str, &str, [&str; 2]); 3] = [
    ("painn_best_checkpoint.pt", "painn_direct", ["ethanol", "benzene"]),
    ("gemnet_oc_best_checkpoint.pt", "gemnet_oc_molecules", ["ethanol", "benzene"]),
    ("schnet_best_checkpoint.pt", "schnet_molecules", ["ethanol", "benzene"]),
];

/// The scale factors of a case beside its model.
fn options(case: &Path) -> ImportOptions {
    let scales = case.join("scale_factors.pt");
    ImportOptions { scale_factors: scales.exists().then_some(scales), ..ImportOptions::default() }
}

fn imported(name: &str, case: &str, folder: &Path) -> Option<(PathBuf, Model)> {
    let checkpoint = golden::fixtures(&format!("checkpoints/{name}"))?;
    let case = golden::fixtures(&format!("models/{case}"))?;
    let output = folder.join("model.safetensors");
    import(&checkpoint, &options(&case), &output).unwrap();
    assert!(checksum::verify(&output, &std::fs::read(&output).unwrap()[..]).unwrap(), "{name} has a checksum");
    let model = Model::load(&output, &Device::flex(), DType::F64).unwrap();
    Some((output, model))
}

#[test]
fn imported_models_predict_what_the_reference_does() {
    for (name, case, structures) in CHECKPOINTS {
        let folder = tempfile::tempdir().unwrap();
        let Some((_, model)) = imported(name, case, folder.path()) else { continue };
        let normalizer = model.header().scale.normalizer;
        for structure in structures {
            let expected = golden::fixtures(&format!("models/{case}/out_{structure}.safetensors")).unwrap();
            let expected = golden::read(&expected);
            let system = golden::structure(structure);
            let prediction = model.evaluate(&[&system]).unwrap();
            let energy = normalizer.denormalize_energy(expected["f64.energy"].values[0]);
            assert!((prediction.energy[0] - energy).abs() < 1e-9 * energy.abs(), "{name} {structure}");
            for (found, golden) in prediction.forces.as_flattened().iter().zip(&expected["f64.forces"].values) {
                let golden = normalizer.denormalize_force(*golden);
                assert!((found - golden).abs() < 1e-8, "{name} {structure}: {found} {golden}");
            }
        }
    }
}

#[test]
fn exports_hold_the_state_dict() {
    for (name, case, _) in CHECKPOINTS {
        let folder = tempfile::tempdir().unwrap();
        let Some((_, model)) = imported(name, case, folder.path()) else { continue };
        let (output, scales) = (folder.path().join("out.safetensors"), folder.path().join("scales.safetensors"));
        export(&model, &output, Some(&scales)).unwrap();
        let ours = golden::read(&output);
        let theirs = golden::read(&golden::fixtures(&format!("models/{case}/model.safetensors")).unwrap());
        let mut compared = 0;
        for (key, golden) in theirs.iter().filter(|(key, _)| !key.contains("_mapping")) {
            let own = ours.get(key).unwrap_or_else(|| panic!("{name}: {key} is not exported"));
            assert_eq!((&own.shape, &own.values), (&golden.shape, &golden.values), "{name} {key}");
            compared += 1;
        }
        assert_eq!(compared, ours.len(), "{name}");
        if let Some(factors) = golden::fixtures(&format!("models/{case}/scale_factors.safetensors")) {
            let (ours, theirs) = (golden::read(&scales), golden::read(&factors));
            assert!(ours.iter().all(|(key, own)| own.values == theirs[key].values), "{name}");
        }
    }
}

#[test]
fn averaged_weights_on_request() {
    let Some(checkpoint) = golden::fixtures("checkpoints/painn_checkpoint_training_state.pt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let [latest, averaged] = ["latest", "averaged"].map(|name| folder.path().join(name));
    let options = ImportOptions { allow_unit_scales: true, ..ImportOptions::default() };
    import(&checkpoint, &options, &latest).unwrap();
    import(&checkpoint, &ImportOptions { use_ema: true, ..options.clone() }, &averaged).unwrap();
    let (latest, averaged) = (golden::read(&latest), golden::read(&averaged));
    assert_eq!(latest.keys().collect::<Vec<_>>(), averaged.keys().collect::<Vec<_>>());
    // The order of the averages is that of the parameters: a mistake would mix shapes or values.
    for (key, golden) in &latest {
        assert!(golden.relative_difference(&averaged[key].values) < 0.5, "{key}");
    }
    let Some(best) = golden::fixtures("checkpoints/painn_best_checkpoint.pt") else { return };
    let refused = import(&best, &ImportOptions { use_ema: true, ..options }, &folder.path().join("x")).unwrap_err();
    assert!(refused.to_string().contains("leave out --use-ema"), "{refused}");
}

#[test]
fn legacy_files_are_read_alike() {
    let Some(legacy) = golden::fixtures("checkpoints/painn_legacy_not_zip.pt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = ImportOptions { allow_unit_scales: true, ..ImportOptions::default() };
    let imported = import(&legacy, &options, &folder.path().join("legacy.safetensors")).unwrap();
    assert!(matches!(imported.header.model, Architecture::PaiNN(_)));
}

#[test]
fn published_scale_files() {
    for (name, n) in
        [("reference_gemnet-oc_small_scaling_factors.pt", 41), ("reference_painn_nb6_scaling_factors.pt", 6)]
    {
        let Some(path) = golden::fixtures(&format!("checkpoints/{name}")) else { continue };
        let factors = read_scale_factors(&path).unwrap();
        assert_eq!(factors.len(), n, "{name}");
        assert!(factors.values().all(|v| v.is_finite() && *v > 0.0), "{factors:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let Some(checkpoint) = golden::fixtures("checkpoints/painn_best_checkpoint.pt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("model.safetensors");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let small = "model: {name: painn, hidden_channels: 32, num_layers: 2, num_rbf: 24}\n";
    let cases = [
        (small, "not part of it: message_layers.2"),
        ("model: {name: painn, hidden_channels: 32, num_layers: 4, num_rbf: 24}\n", "missing: message_layers.3"),
        ("model: {name: painn, hidden_channels: 16, num_layers: 3, num_rbf: 24}\n", "expected shape"),
        ("model: {name: schnet}\n", "missing"),
        ("model: {name: dimenetplusplus}\n", "schnet, painn and gemnet_oc can"),
        ("model: {name: painn, hidden_chanels: 32}\n", "hidden_chanels"),
        ("model: {name: painn, direct_forces: false}\n", "not gradients of their energy"),
        ("model: {name: painn, hidden_channels: wide}\n", "expected a whole number"),
        ("optim: {}\n", "no `model` section"),
    ];
    for (text, expected) in cases {
        let options = ImportOptions { config: Some(write("model.yml", text)), ..ImportOptions::default() };
        let message = import(&checkpoint, &options, &output).unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{text}: {message}");
        assert!(!output.exists());
    }
    let Some(scales) = golden::fixtures("checkpoints/reference_gemnet-oc_small_scaling_factors.pt") else { return };
    let options = ImportOptions { scale_factors: Some(scales), ..ImportOptions::default() };
    let message = import(&checkpoint, &options, &output).unwrap_err().to_string();
    assert!(message.contains("upd_out_scalar_scale_0") && message.contains("--allow-unit-scales"), "{message}");
    assert!(!output.exists());
}
