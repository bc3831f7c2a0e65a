//! SchNet, PaiNN and GemNet-OC as Burn modules: energies, forces as explicit adjoints or heads, and features on request.
//!
//! A network never knows that it is a student: it returns [`Features`] when asked, and projections, teachers and losses live elsewhere.
//! Networks compute in the precision of their weights (f32 or f64); positions, energies and reference energies are f64 outside.
//!
//! | module | contents |
//! |---|---|
//! | [`model`] | a network with its header, in eV and eV/Å |
//! | [`networks`] | the architectures |
//! | [`layers`], [`ops`] | layers; operations on the CPU with a backward pass of their own |
//! | [`batch`], [`features`] | neighbour graphs as tensors; features at taps |
//! | [`tensors`], [`parameters`], [`init`] | functions of tensors; parameters as one vector; initial weights |
//! | [`device`] | the processor among the devices of the tensor framework |
//! | [`checkpoint`], [`import`], [`mod@reference`] | model files; checkpoints of the reference implementation |
//!
//! ```
//! use burn::tensor::{DType, Device};
//! use potstill_core::System;
//! use potstill_core::model::{Architecture, Forces, PaiNNConfig};
//! use potstill_nn::{Batch, Network};
//!
//! let settings = PaiNNConfig { hidden_channels: 8, n_layers: 2, n_radial: 16, cutoff: 5.0, ..PaiNNConfig::default() };
//! let architecture = Architecture::from(settings);
//! let (device, dtype) = (Device::flex(), DType::F32);
//! let network = Network::init(&architecture, 7, &device, dtype);
//! let water = System {
//!     atomic_numbers: vec![8, 1, 1],
//!     positions: vec![[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]],
//!     ..System::default()
//! };
//! let batch = Batch::of(&architecture.graph_rule().build(&[&water])?, &device, dtype);
//! let output = network.forward(&batch, Forces::Gradient, &architecture.taps());
//! assert_eq!(output.energy.dims(), [1, 1]);
//! assert_eq!(output.forces.map(|forces| forces.dims()), Some([3, 3]));
//! assert_eq!(output.features.len(), 4);
//! # Ok::<(), potstill_core::Error>(())
//! ```

pub mod batch;
pub mod checkpoint;
pub mod device;
pub mod features;
mod gpu;
pub mod import;
pub mod init;
pub mod layers;
pub mod model;
pub mod networks;
pub mod ops;
mod output;
pub mod parameters;
mod precision;
pub mod reference;
pub mod tensors;
#[cfg(test)]
mod testing;

pub use batch::Batch;
pub use features::Features;
pub use model::Model;
pub use networks::Network;
pub use output::Output;
pub use potstill_kernels::Number;
pub use precision::dtype;

/// Examples of the manual, compiled as tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../docs/book/src/how-to/add-a-network.md")]
    struct AddANetwork;
}
