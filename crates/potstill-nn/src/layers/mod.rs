//! Layers that the networks share, each with a `forward` and, where a conservative network needs it, an `adjoint`.
//!
//! Nothing that is differentiated may use `div_scalar`: Burn's gradient of it rounds the divisor to f32. Multiply by the
//! reciprocal.

pub mod activation;
pub mod dense;
pub mod norm;
pub mod radial;
pub mod radial_basis;
pub mod scatter;

pub use dense::{Dense, Embedding};
pub use norm::LayerNorm;
pub use radial_basis::RadialBasis;
