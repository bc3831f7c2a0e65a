//! The fast student: SchNet and PaiNN as fused CPU kernels, without the tensor framework.
//!
//! [`Engine::load`] compiles a model file; the [`Engine`] is a [`Potential`](potstill_core::Potential) with the numbers of the
//! network in `potstill-nn`, forces and virials included.
//!
//! | file | what it holds |
//! |---|---|
//! | `radial`, `filters` | functions of a distance; splines in their place |
//! | `order`, `pairs` | how atoms are numbered; edges into and out of each |
//! | `aligned`, `dense`, `rows`, `work` | matrix products, loops over rows, memory that is kept |
//! | `schnet`, `painn` | the networks, forward and by hand-derived adjoints |
//! | `engine` | energies, forces, virials |

mod aligned;
mod dense;
mod engine;
mod filters;
mod order;
mod painn;
mod pairs;
mod radial;
mod rows;
mod schnet;
mod work;

pub use engine::{Engine, FilterChoice};
pub use potstill_kernels::number::Number;
