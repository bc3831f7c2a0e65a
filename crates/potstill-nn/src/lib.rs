//! SchNet, PaiNN and GemNet-OC as Burn modules: energies, forces as explicit adjoints or heads, and features on request.
//!
//! A network never knows that it is a student: it returns [`features::Features`] when asked, and
//! projections, teachers and losses live elsewhere. Networks compute in the precision of their weights
//! (f32 or f64); positions, energies and reference energies are f64 outside.

pub mod batch;
pub mod checkpoint;
pub mod features;
pub mod gemnet_oc;
pub mod import;
pub mod init;
pub mod layers;
pub mod model;
pub mod network;
pub mod ops;
pub mod painn;
pub mod parameters;
mod precision;
pub mod reference;
pub mod schnet;

pub use batch::Batch;
pub use features::Features;
pub use model::Model;
pub use network::{Network, Output};
pub use potstill_kernels::Number;
pub use precision::dtype;
