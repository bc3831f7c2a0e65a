//! Systems of atoms, their neighbour graphs, the files they come from, and the metrics that judge a potential.
//!
//! Plain arrays in f64 and nothing that prints: every other crate of potstill builds on this one.
//! Units are eV and Å everywhere; see `CONVENTIONS.md` for signs and index order.

pub mod columns;
pub mod covalent_radii;
pub mod dataset;
pub mod elements;
pub mod error;
pub mod evaluation;
pub mod graph;
pub mod io;
pub mod limits;
pub mod masses;
pub mod metrics;
pub mod number;
pub mod potential;
pub mod radial;
pub mod system;
pub mod units;

pub use error::{Error, Result};
pub use potential::{Potential, Prediction};
pub use system::System;
