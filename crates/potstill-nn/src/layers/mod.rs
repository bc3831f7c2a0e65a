//! Layers that the networks share, each with a `forward` and, where a conservative network needs it, an `adjoint`.

pub mod dense;
pub mod norm;
pub mod radial;
pub mod radial_basis;

pub use dense::{Dense, Embedding};
pub use norm::LayerNorm;
pub use radial_basis::RadialBasis;
