//! What potstill writes of networks: model files, read by both programs that run them, and training states.

use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_core::{Potential, Result};
use potstill_engine::{Engine, FilterChoice};
use potstill_nn::Model;
use potstill_testkit::fuzz::{Target, shape};
use potstill_train::state;

use super::corpus;
use super::inputs::molecules;
use super::systems::reader;

const HEADER: &[&str] = &[
    "\"architecture\":\"schnet\"",
    "\"architecture\":\"painn\"",
    "\"architecture\":\"gemnet_oc\"",
    "\"hidden_channels\":",
    "\"n_layers\":",
    "\"cutoff\":",
    "{\"nearest\":0}",
    "\"all\"",
    "\"direct\"",
    "\"elements\":[]",
    "\"std\":0",
    "\"F64\"",
    "\"BF16\"",
    "\"data_offsets\":[0,0]",
    "\"shape\":[]",
    "null",
    "[",
    "{",
];

/// All of them.
pub fn targets() -> Vec<Target> {
    let of = |name, from, read| Target {
        name,
        file: "input.safetensors",
        corpus: corpus(from),
        dictionary: HEADER,
        shape: shape::safetensors,
        read: reader(read),
    };
    vec![of("model", "model", network), of("engine", "model", engine), of("state", "state", training)]
}

/// Loads a network and asks it about molecules.
fn network(path: &Path) -> Result<()> {
    let model = Model::load(path, &Device::flex(), DType::F32)?;
    let systems = molecules();
    model.evaluate(&systems.iter().collect::<Vec<_>>()).map(|_| ())
}

/// The same with the engine.
fn engine(path: &Path) -> Result<()> {
    let engine = Engine::<f32>::load(path, FilterChoice::Exact)?;
    let systems = molecules();
    engine.evaluate(&systems.iter().collect::<Vec<_>>()).map(|_| ())
}

fn training(path: &Path) -> Result<()> {
    state::load::<f32>(path, super::inputs::STATE_SIZE).map(|_| ())
}
