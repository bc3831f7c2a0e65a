//! Systems of atoms, their neighbour graphs, descriptions of models, and the metrics that judge a potential.
//!
//! Plain arrays in f64 and nothing that prints: every other crate of potstill builds on this one.
//! Units are eV and Å everywhere; see `CONVENTIONS.md` for signs and index order.
//!
//! ```
//! use potstill_core::System;
//! use potstill_core::graph::{GraphRule, Neighbors};
//!
//! // A chain of argon atoms along z, 3.8 Å apart, by periodic images of one atom.
//! let argon = System {
//!     atomic_numbers: vec![18],
//!     positions: vec![[0.0; 3]],
//!     cell: Some([[20.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 3.8]]),
//!     pbc: [false, false, true],
//!     ..System::default()
//! };
//! let rule = GraphRule { cutoff: 8.0, neighbors: Neighbors::All, symmetric: false };
//! let graph = rule.build(&[&argon])?;
//! assert_eq!(graph.n_edges(), 4);
//! assert!(graph.distances().iter().all(|d| [3.8, 7.6].iter().any(|expected| (d - expected).abs() < 1e-12)));
//! # Ok::<(), potstill_core::Error>(())
//! ```

pub mod columns;
pub mod committee;
pub mod covalent_radii;
pub mod elements;
pub mod error;
pub mod files;
pub mod graph;
pub mod limits;
pub mod masses;
pub mod metrics;
pub mod model;
pub mod part;
pub mod potential;
pub mod precision;
pub mod ranks;
pub mod system;
pub mod units;

pub use committee::Committee;
pub use error::{Error, Result};
pub use part::Part;
pub use potential::{Potential, Prediction};
pub use precision::Precision;
pub use system::System;
