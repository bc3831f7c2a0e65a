//! The fast student: SchNet and PaiNN as fused CPU kernels, without the tensor framework.
//!
//! [`Engine::load`] compiles a model file; the [`Engine`] is a [`Potential`](potstill_core::Potential) with the numbers of the
//! network in `potstill-nn`, forces and virials included.
//!
//! | file | what it holds |
//! |---|---|
//! | `checkpoint` | reading the model file |
//! | `radial`, `filters` | functions of a distance; tables in their place |
//! | `pairs` | edges into and out of each atom |
//! | `dense`, `rows` | matrix products, loops over rows, vector instructions |
//! | `schnet`, `painn` | the networks, forward and by hand-derived adjoints |
//! | `engine` | energies, forces, virials; memory kept from call to call |

mod checkpoint;
mod dense;
mod engine;
mod filters;
mod painn;
mod pairs;
mod radial;
mod rows;
mod schnet;
mod work;

pub use engine::{Engine, FilterChoice};
pub use potstill_core::number::Number;
