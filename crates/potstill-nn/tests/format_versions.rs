//! Model files of every format version still load and predict what they did.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use potstill_core::Potential;
use potstill_core::model::FORMAT_VERSION;
use potstill_data::io::{LabelKeys, read_all};
use potstill_fixtures::workspace;
use potstill_nn::Model;

/// Saved models with their format version, ascending.
fn saved() -> Vec<(u64, PathBuf)> {
    let folder = workspace().join("testdata/models");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let version = |path: &Path| path.file_name()?.to_str()?.strip_prefix("version-")?.split('-').next()?.parse().ok();
    let models = files.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    let mut all: Vec<(u64, PathBuf)> = models.map(|path| (version(&path).unwrap(), path)).collect();
    all.sort();
    all
}

#[test]
fn every_version_is_saved() {
    let mut versions: Vec<u64> = saved().into_iter().map(|(version, _)| version).collect();
    versions.dedup();
    assert_eq!(versions, (1..=FORMAT_VERSION).collect::<Vec<_>>());
}

#[test]
fn every_version_predicts_what_it_did() {
    for (version, path) in saved() {
        let model = Model::load(&path, &Device::flex(), DType::F64).unwrap();
        assert_eq!(model.header().format_version, FORMAT_VERSION, "version {version} is brought to the newest");
        let (systems, _) = read_all(&path.with_extension("extxyz"), &LabelKeys::default()).unwrap();
        let [system] = &systems[..] else { panic!("{}: one structure", path.display()) };
        let prediction = model.evaluate(&[system]).unwrap();
        let energy = system.energy.unwrap();
        assert!((prediction.energy[0] - energy).abs() < 1e-9, "{}: {energy}", path.display());
        for (found, wanted) in prediction.forces.iter().zip(system.forces.as_ref().unwrap()) {
            let far = (0..3).map(|k| (found[k] - wanted[k]).abs()).fold(0.0, f64::max);
            assert!(far < 1e-9, "{}: {far:e}", path.display());
        }
    }
}
