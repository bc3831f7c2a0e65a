//! What the reference implementation left, as this project's types.
#![allow(dead_code, reason = "each test file uses its part")]

use potstill_core::model::{
    Architecture, ElementEnergies, EnergyScale, Forces, GemNetOCConfig, Header, Normalizer, PaiNNConfig, ScaleFactors,
    SchNetConfig,
};
use potstill_nn::Network;
use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_core::System;
use potstill_core::graph::Neighbors;
use potstill_fixtures::{Golden, read};
use potstill_nn::Model;
use potstill_nn::parameters;
use potstill_nn::reference::reference_name;
use serde_json::Value;

pub type Weights = BTreeMap<String, Golden>;

pub fn architecture(model: &Value, scales: &Path) -> Architecture {
    let size = |key: &str| model[key].as_u64().unwrap() as usize;
    let cutoff = model["cutoff"].as_f64().unwrap();
    if model["name"] == "schnet" {
        return Architecture::SchNet(SchNetConfig {
            hidden_channels: size("hidden_channels"),
            n_filters: size("num_filters"),
            n_interactions: size("num_interactions"),
            n_gaussians: size("num_gaussians"),
            cutoff,
            neighbors: Neighbors::All,
        });
    }
    let scales = read(scales);
    if model["name"] == "gemnet_oc" {
        let imported = potstill_nn::import::architecture("gemnet_oc", model.as_object().unwrap()).unwrap();
        let Architecture::GemNetOC(config) = imported else { panic!("a GemNet-OC was asked for") };
        let factors = scales.into_iter().map(|(name, factor)| (name, factor.values[0])).collect();
        return Architecture::GemNetOC(GemNetOCConfig { scale_factors: ScaleFactors::Given(factors), ..config });
    }
    Architecture::PaiNN(PaiNNConfig {
        hidden_channels: size("hidden_channels"),
        n_layers: size("num_layers"),
        n_radial: size("num_rbf"),
        cutoff,
        neighbors: Neighbors::Nearest(size("max_neighbors")),
        forces: Forces::Direct,
        update_scales: (0..scales.len()).map(|i| scales[&format!("upd_out_scalar_scale_{i}")].values[0]).collect(),
        smooth_cutoff: false,
        ..PaiNNConfig::default()
    })
}

pub fn header(model: Architecture, normalizer: Normalizer) -> Header {
    let reference_energies = ElementEnergies::new([1, 6, 7, 8].map(|z| (z, 0.0)));
    let elements = ["H", "C", "N", "O"].map(str::to_owned).to_vec();
    Header::new(model, elements, EnergyScale { reference_energies, normalizer })
}

pub fn teacher(architecture: &Architecture, weights: &Weights, normalizer: Normalizer) -> Model {
    let device = Device::flex();
    let network = Network::init(architecture, 0, &device, DType::F64);
    let values: Vec<f64> = parameters::describe(&network)
        .iter()
        .flat_map(|info| weights[&reference_name(architecture, &info.name)].values.clone())
        .collect();
    let network = parameters::with_vector(network, &values, &device);
    Model::new(header(architecture.clone(), normalizer), network, &device, DType::F64, "teacher".to_owned()).unwrap()
}

/// The three molecules of the batch.
pub fn systems(batch: &Weights) -> Vec<System> {
    let rows = |key: &str| batch[key].values.chunks_exact(3).map(|r| [r[0], r[1], r[2]]).collect::<Vec<_>>();
    let (positions, forces) = (rows("pos"), rows("forces_label"));
    let numbers = batch["atomic_numbers"].integers();
    let mut first = 0;
    let sizes = batch["natoms"].integers();
    sizes
        .iter()
        .zip(&batch["energy_label"].values)
        .map(|(&n, &energy)| {
            let atoms = first..first + n as usize;
            first = atoms.end;
            System {
                atomic_numbers: numbers[atoms.clone()].iter().map(|&z| z as u8).collect(),
                positions: positions[atoms.clone()].to_vec(),
                energy: Some(energy),
                forces: Some(forces[atoms.clone()].to_vec()),
                fixed: Some(batch["fixed"].values[atoms].iter().map(|&f| f == 1.0).collect()),
                ..System::default()
            }
        })
        .collect()
}

/// The reference's name of a parameter of network or projections.
pub fn student_name(architecture: &Architecture, mappings: &[&str], name: &str) -> String {
    if let Some(name) = name.strip_prefix("network.") {
        return reference_name(architecture, name);
    }
    let parts: Vec<&str> = name.split('.').collect();
    let ["projections", k, "map", kind] = parts[..] else { panic!("{name}") };
    format!("{}.{kind}", mappings[k.parse::<usize>().unwrap()])
}
