//! Functions of a distance in f64, with their derivatives: radial bases, envelopes, cutoff functions.
//!
//! | file | contents |
//! |---|---|
//! | `gaussians` | Gaussians on a regular grid |
//! | `functions` | the radial bases of published networks |
//! | `envelope` | envelopes and the cosine cutoff |

mod envelope;
mod functions;
mod gaussians;

pub use self::envelope::{Envelope, cosine_cutoff};
pub use self::functions::{RadialBasis, RadialFunctions, log_binomials};
pub use self::gaussians::{Gaussians, linspace};

/// Value and derivative of a function at one point.
pub type Slope = (f64, f64);
