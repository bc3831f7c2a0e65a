//! The engine compiles model files of every format version and predicts what the program of their time did.

use std::path::Path;

use potstill_core::Potential;
use potstill_core::model::{Architecture, ModelFile};
use potstill_data::io::{LabelKeys, read_all};
use potstill_engine::{Engine, FilterChoice};

#[test]
fn every_version_predicts_what_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models");
    let mut n_compiled = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let file = ModelFile::read(&path).unwrap();
        if matches!(file.header().model, Architecture::GemNetOC(_)) {
            let message = Engine::<f64>::compile(&file, FilterChoice::Exact).unwrap_err().to_string();
            assert!(message.contains("--engine network"), "{message}");
            continue;
        }
        let engine = Engine::<f64>::compile(&file, FilterChoice::Exact).unwrap();
        let system = read_all(&path.with_extension("extxyz"), &LabelKeys::default()).unwrap().0.remove(0);
        let prediction = engine.evaluate(&[&system]).unwrap();
        assert!((prediction.energy[0] - system.energy.unwrap()).abs() < 1e-9, "{}", path.display());
        for (found, wanted) in prediction.forces.iter().zip(system.forces.as_ref().unwrap()) {
            let far = (0..3).map(|k| (found[k] - wanted[k]).abs()).fold(0.0, f64::max);
            assert!(far < 1e-9, "{}: {far:e}", path.display());
        }
        n_compiled += 1;
    }
    assert!(n_compiled >= 5, "{n_compiled}");
}
