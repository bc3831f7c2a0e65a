//! The fast student: SchNet and PaiNN as fused CPU kernels, without the tensor framework.
//!
//! [`Engine::load`] compiles a model file; the [`Engine`] is a [`Potential`](potstill_core::Potential) with the numbers of the
//! network in `potstill-nn`, forces and virials included.
//!
//! | file | contents |
//! |---|---|
//! | `engine` | the public type: compiling, options |
//! | `evaluator` | one call: neighbour list, network, energies, forces, virials |
//! | `domain` | part of a system that one of several processes evaluates |
//! | `order`, `edges` | numbering of atoms; edges into and out of each |
//! | `tasks`, `buffers` | parts of arrays for threads; memory reused between calls |
//! | `weights` | layers from the weights of a file |
//! | `networks` | the trait of a network; SchNet and PaiNN, forward and by hand-derived adjoints |
//!
//! ```
//! use potstill_core::model::{ElementEnergies, EnergyScale, Header, SchNetConfig, write_model};
//! use potstill_core::{Potential, System};
//! use potstill_engine::{Engine, FilterChoice};
//!
//! // A SchNet of the smallest size; models come from training.
//! let config = SchNetConfig { hidden_channels: 2, n_filters: 1, n_interactions: 1, n_gaussians: 2, ..SchNetConfig::default() };
//! let weight = |name: &str, shape: &[usize]| {
//!     let numbers = (0..shape.iter().product::<usize>()).flat_map(|i| (0.1 * i as f32).to_le_bytes());
//!     (name.to_owned(), safetensors::Dtype::F32, shape.to_vec(), numbers.collect::<Vec<u8>>())
//! };
//! let block = |name: &str, shape: &[usize]| weight(&format!("interactions.0.{name}"), shape);
//! let weights = vec![
//!     weight("embedding.weight", &[100, 2]),
//!     block("filter_in.weight", &[1, 2]),
//!     block("filter_in.bias", &[1]),
//!     block("filter_out.weight", &[1, 1]),
//!     block("filter_out.bias", &[1]),
//!     block("source.weight", &[1, 2]),
//!     block("message.weight", &[2, 1]),
//!     block("message.bias", &[2]),
//!     block("output.weight", &[2, 2]),
//!     block("output.bias", &[2]),
//!     weight("energy_in.weight", &[1, 2]),
//!     weight("energy_in.bias", &[1]),
//!     weight("energy_out.weight", &[1, 1]),
//!     weight("energy_out.bias", &[1]),
//! ];
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("model.safetensors");
//! let scale = EnergyScale { reference_energies: ElementEnergies::new([(1, -13.6)]), ..EnergyScale::default() };
//! write_model(&path, &Header::new(config, vec!["H".to_owned()], scale), &weights)?;
//!
//! let engine = Engine::<f32>::load(&path, FilterChoice::default())?;
//! let hydrogen =
//!     System { atomic_numbers: vec![1, 1], positions: vec![[0.0; 3], [0.74, 0.0, 0.0]], ..System::default() };
//! let prediction = engine.evaluate(&[&hydrogen])?;
//! assert_eq!((prediction.energy.len(), prediction.forces.len()), (1, 2));
//! # Ok::<(), potstill_core::Error>(())
//! ```

mod buffers;
pub mod domain;
mod edges;
mod engine;
mod evaluator;
mod networks;
mod order;
mod sums;
mod tasks;
mod weights;

pub use engine::{Engine, FilterChoice, runs};
pub use potstill_kernels::Number;
