//! The fast student: SchNet and PaiNN as fused CPU kernels, without the tensor framework.
//!
//! [`Engine::load`] compiles a model file; the [`Engine`] is a [`Potential`](potstill_core::Potential) with the numbers of the
//! network in `potstill-nn`, forces and virials included.
//!
//! | file | contents |
//! |---|---|
//! | `engine` | the public type: compiling, options |
//! | `evaluator` | one call: neighbour list, network, energies, forces, virials |
//! | `order`, `edges` | numbering of atoms; edges into and out of each |
//! | `tasks`, `buffers` | parts of arrays for threads; memory reused between calls |
//! | `weights` | layers from the weights of a file |
//! | `networks` | the trait of a network; SchNet and PaiNN, forward and by hand-derived adjoints |
//!
//! ```no_run
//! // Not run: the model file comes from training.
//! use potstill_core::{Potential, System};
//! use potstill_engine::{Engine, FilterChoice};
//!
//! let engine = Engine::<f32>::load("model.safetensors".as_ref(), FilterChoice::default())?;
//! let water = System {
//!     atomic_numbers: vec![8, 1, 1],
//!     positions: vec![[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]],
//!     ..System::default()
//! };
//! let prediction = engine.evaluate(&[&water])?;
//! println!("{} eV, {:?} eV/Å", prediction.energy[0], prediction.forces);
//! # Ok::<(), potstill_core::Error>(())
//! ```

mod buffers;
mod edges;
mod engine;
mod evaluator;
mod networks;
mod order;
mod tasks;
mod weights;

pub use engine::{Engine, FilterChoice};
pub use potstill_kernels::Number;
