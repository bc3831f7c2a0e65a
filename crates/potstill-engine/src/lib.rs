//! The fast student: SchNet and PaiNN as fused CPU kernels, without the tensor framework.
//!
//! [`Engine::load`] compiles a model file; the [`Engine`] is a [`Potential`](potstill_core::Potential) with the numbers of the
//! network in `potstill-nn`, forces and virials included.
//!
//! | file | what it holds |
//! |---|---|
//! | `order`, `pairs` | how atoms are numbered; edges into and out of each |
//! | `tasks`, `work` | parts of arrays for tasks, buffers |
//! | `schnet`, `painn` | the networks, forward and by hand-derived adjoints |
//! | `engine` | energies, forces, virials |

mod engine;
mod order;
mod painn;
mod pairs;
mod schnet;
mod tasks;
mod weights;
mod work;

pub use engine::{Engine, FilterChoice};
pub use potstill_kernels::number::Number;
