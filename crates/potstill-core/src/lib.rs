//! Systems of atoms, their neighbour graphs, descriptions of models, and the metrics that judge a potential.
//!
//! Plain arrays in f64 and nothing that prints: every other crate of potstill builds on this one.
//! Units are eV and Å everywhere; see `CONVENTIONS.md` for signs and index order.

pub mod columns;
pub mod covalent_radii;
pub mod elements;
pub mod error;
pub mod files;
pub mod graph;
pub mod limits;
pub mod masses;
pub mod metrics;
pub mod model;
pub mod potential;
pub mod precision;
pub mod system;
pub mod units;

pub use error::{Error, Result};
pub use potential::{Potential, Prediction};
pub use precision::Precision;
pub use system::System;
