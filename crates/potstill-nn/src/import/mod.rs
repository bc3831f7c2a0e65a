//! Checkpoints of the reference implementation (Open Catalyst Project) as our models, and our weights under its names.
//!
//! Reading the file is [`potstill_core::io`]'s; here its settings become an [`Architecture`] and its tensors are matched
//! with parameters by name, each side's left-overs named.

mod config;
mod weights;

pub use config::architecture;
pub use weights::{Matched, match_weights, strip_prefix};
