//! Small labelled systems, small networks, and runs in temporary folders.
#![allow(dead_code, reason = "each test file uses its part")]

use potstill_core::model::{
    Architecture, ElementEnergies, EnergyScale, Forces, Header, Normalizer, PaiNNConfig, SchNetConfig,
};
use potstill_nn::Network;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{DType, Device};
use potstill_core::system::Value;
use potstill_core::{Result, System};
use potstill_data::dataset::{Normalization, ReferenceEnergies};
use potstill_nn::checkpoint;
use potstill_testkit::systems::molecule;
use potstill_train::config::{Config, DataConfig, TrainingConfig};
use potstill_train::folder::{RunFolder, Start};
use potstill_train::observer::{Observer, Silent, StepReport};
use potstill_train::run::{Data, train};
use potstill_train::trainer::Summary;
use safetensors::SafeTensors;

/// Molecules of four to six atoms, bound by a Morse potential between all pairs.
pub fn systems(n: usize, seed: u64) -> Vec<System> {
    (0..n).map(|k| labelled(molecule(4 + k % 3, seed + k as u64), k)).collect()
}

fn labelled(mut system: System, k: usize) -> System {
    let (depth, width, length) = (0.4, 1.2, 1.5);
    let n = system.n_atoms();
    let mut energy: f64 = system.atomic_numbers.iter().map(|&z| -f64::from(z)).sum();
    let mut forces = vec![[0.0; 3]; n];
    for i in 0..n {
        for j in 0..i {
            let d: [f64; 3] = std::array::from_fn(|c| system.positions[i][c] - system.positions[j][c]);
            let r = d.iter().map(|c| c * c).sum::<f64>().sqrt();
            let e = (-width * (r - length)).exp();
            energy += depth * ((1.0 - e).powi(2) - 1.0);
            let slope = 2.0 * depth * width * e * (1.0 - e);
            for c in 0..3 {
                forces[i][c] -= slope * d[c] / r;
                forces[j][c] += slope * d[c] / r;
            }
        }
    }
    system.energy = Some(energy);
    system.forces = Some(forces);
    system.metadata.insert("name".to_owned(), Value::Text(format!("molecule-{k}")));
    system
}

pub fn schnet() -> Architecture {
    Architecture::SchNet(SchNetConfig {
        hidden_channels: 16,
        n_filters: 16,
        n_interactions: 2,
        n_gaussians: 12,
        cutoff: 5.0,
        ..SchNetConfig::default()
    })
}

pub fn painn() -> Architecture {
    Architecture::PaiNN(PaiNNConfig {
        hidden_channels: 12,
        n_layers: 2,
        n_radial: 10,
        cutoff: 5.0,
        ..PaiNNConfig::default()
    })
}

/// A configuration whose steps are short and whose order, average and schedule all have something to remember.
pub fn config(model: Architecture) -> Config {
    Config {
        seed: 4,
        data: DataConfig {
            train: vec!["train.extxyz".into()],
            reference_energies: ReferenceEnergies::LeastSquares,
            normalization: Normalization::Forces,
            ..DataConfig::default()
        },
        model,
        training: TrainingConfig {
            batch_size: 3,
            epochs: 4,
            learning_rate: 3e-3,
            force_weight: 10.0,
            ema_decay: 0.9,
            ..TrainingConfig::default()
        },
        distill: None,
    }
}

pub fn data() -> Data {
    Data { train: systems(10, 100).into(), validation: systems(4, 500).into(), ..Data::default() }
}

pub fn run(config: &Config, data: Data, folder: &Path) -> Result<Summary> {
    train(config, data, &RunFolder::open(folder, Start::New)?, &AtomicBool::new(false), &mut Silent, &|_| {})
}

pub fn resume(config: &Config, data: Data, folder: &Path) -> Result<Summary> {
    train(config, data, &RunFolder::open(folder, Start::Resume)?, &AtomicBool::new(false), &mut Silent, &|_| {})
}

/// Remembers every step; may interrupt or panic, as a user or a power cut would.
#[derive(Default)]
pub struct Watcher<'a> {
    pub steps: Vec<StepReport>,
    pub interrupt_at: Option<(u64, &'a AtomicBool)>,
    pub panic_at: Option<u64>,
}

impl Observer for Watcher<'_> {
    fn step(&mut self, report: &StepReport) {
        self.steps.push(report.clone());
        if let Some((step, flag)) = self.interrupt_at {
            flag.store(report.step >= step, Ordering::Relaxed);
        }
        assert!(self.panic_at != Some(report.step), "a power cut");
    }
}

/// All steps of a run.
pub fn watched(config: &Config, data: Data, folder: &Path) -> Vec<StepReport> {
    let mut watcher = Watcher::default();
    let folder = RunFolder::open(folder, Start::New).unwrap();
    train(config, data, &folder, &AtomicBool::new(false), &mut watcher, &|_| {}).unwrap();
    watcher.steps
}

/// Bytes of all tensors of a file by name, without its header.
pub fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

/// Asserts that two runs left the same weights, averages and moments, and ship the same model.
pub fn assert_same(one: &Path, other: &Path, what: &str) {
    for file in ["checkpoints/last.safetensors", "checkpoints/best.safetensors", "model.safetensors"] {
        let (one, other) = (tensors(&one.join(file)), tensors(&other.join(file)));
        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>(), "{what}: {file}");
        for (name, bytes) in &one {
            assert!(bytes == &other[name], "{what}: {name} of {file} differs");
        }
    }
    assert_eq!(metrics(one), metrics(other), "{what}");
}

/// Lines of a run's metrics, without their times.
pub fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("seconds")));
    lines
}

/// Saves a teacher with random weights: a PaiNN with direct forces, wider than [`painn`].
pub fn write_teacher(path: &Path, seed: u64, elements: &[&str]) -> Architecture {
    let model = Architecture::PaiNN(PaiNNConfig {
        hidden_channels: 20,
        n_layers: 2,
        n_radial: 10,
        cutoff: 5.0,
        forces: Forces::Direct,
        ..PaiNNConfig::default()
    });
    let header = Header::new(
        model.clone(),
        elements.iter().map(|&e| e.to_owned()).collect(),
        EnergyScale {
            reference_energies: ElementEnergies::new([(1, -1.0), (6, -6.0), (7, -7.0), (8, -8.0)]),
            normalizer: Normalizer::default(),
        },
    );
    let network = Network::init(&model, seed, &Device::flex(), DType::F32);
    checkpoint::save(path, &header, &network, DType::F32).unwrap();
    model
}
