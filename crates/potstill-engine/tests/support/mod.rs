//! Model files for tests and benchmarks.

use potstill_core::model::{Architecture, ElementEnergies, EnergyScale, Header, Normalizer};
use potstill_nn::Network;
use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_nn::checkpoint;
use potstill_nn::parameters;

/// Saves a model whose weights are all random, biases too: fresh ones are zero and would hide what they do.
pub fn save(path: &Path, architecture: Architecture, energy_mean: f64) {
    let device = Device::flex();
    let network = Network::init(&architecture, 7, &device, DType::F64);
    let mut values: Vec<f64> = parameters::to_vector(&network);
    for (i, value) in values.iter_mut().enumerate() {
        *value += 0.1 * (1.7 * i as f64).sin();
    }
    let network = parameters::with_vector(network, &values, &device);
    let header = Header::new(
        architecture,
        ["H", "C", "N", "O"].map(str::to_owned).to_vec(),
        EnergyScale {
            reference_energies: ElementEnergies::new([(1, -0.3), (6, 1.1), (7, 0.2), (8, -2.0)]),
            normalizer: Normalizer { energy_mean, energy_std: 1.7, force_std: 1.7 },
        },
    );
    checkpoint::save(path, &header, &network, DType::F64).unwrap();
}
