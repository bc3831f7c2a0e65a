//! Potentials whose answers are known, and which remember what they were asked.

use std::path::PathBuf;
use std::sync::Mutex;

use potstill_core::system::Mat3;
use potstill_core::{Error, Potential, Prediction, Result, System};
use potstill_data::io::{LabelKeys, read};

/// Springs between each atom and the origin, with a virial that is not symmetric; remembers each batch.
#[derive(Default)]
pub struct Springs {
    pub asked: Mutex<Vec<Vec<System>>>,
    pub is_direct: bool,
}

/// Virial of every system in eV.
pub const VIRIAL: Mat3 = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];

impl Springs {
    /// A potential that lives as long as the tests.
    pub fn leaked() -> &'static Self {
        Box::leak(Box::default())
    }

    /// The batches that were asked about, but for the template.
    pub fn batches(&self) -> Vec<Vec<System>> {
        self.asked.lock().unwrap()[1..].to_vec()
    }
}

impl Potential for Springs {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn elements(&self) -> &[u8] {
        &[1, 8]
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        self.asked.lock().unwrap().push(systems.iter().map(|&s| s.clone()).collect());
        let mut prediction = Prediction::default();
        for (index, system) in systems.iter().enumerate() {
            let energies = system.positions.iter().map(|r| 0.5 * r.iter().map(|x| x * x).sum::<f64>());
            let energy = energies.clone().sum::<f64>();
            if energy.is_nan() {
                return Err(Error::system(index, "a position is NaN"));
            }
            prediction.energy.push(energy);
            prediction.atomic_energies.extend(energies);
            prediction.forces.extend(system.positions.iter().map(|r| r.map(|x| -x)));
        }
        prediction.virial = (!self.is_direct).then(|| vec![VIRIAL; systems.len()]);
        Ok(prediction)
    }
}

/// A molecule of water, without periodic axes.
pub fn water() -> System {
    System {
        atomic_numbers: vec![8, 1, 1],
        positions: vec![[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]],
        ..System::default()
    }
}

/// Shipped model of that name, and acetylacetone.
pub fn shipped(name: &str) -> (PathBuf, System) {
    let stem = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name);
    let mut systems = read(&stem.with_extension("extxyz"), &LabelKeys::default()).unwrap();
    (stem.with_extension("safetensors"), systems.next().unwrap().unwrap())
}
