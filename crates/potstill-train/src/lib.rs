//! Training and distilling interatomic potentials. Nothing here prints.
//!
//! A run is a [`config::Config`], labelled systems and a folder; [`run::train`] does the rest. A [`study::Study`] is many runs
//! and one table.
//!
//! ```
//! use potstill_core::System;
//! use potstill_train::config::Config;
//! use potstill_train::folder::{RunFolder, Start};
//! use potstill_train::observer::Silent;
//! use potstill_train::run::{Data, train};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Four stretched hydrogen molecules: 25 eV/Å² around 0.74 Å.
//! let molecule = |r: f64| System {
//!     atomic_numbers: vec![1, 1],
//!     positions: vec![[0.0; 3], [r, 0.0, 0.0]],
//!     energy: Some(12.5 * (r - 0.74).powi(2)),
//!     forces: Some(vec![[25.0 * (r - 0.74), 0.0, 0.0], [-25.0 * (r - 0.74), 0.0, 0.0]]),
//!     ..System::default()
//! };
//! let systems: Vec<System> = [0.7, 0.72, 0.76, 0.8].map(molecule).into();
//! let config: Config = toml::from_str(
//!     r#"
//!     [data]
//!     train = ["molecules.extxyz"]   # the systems below; read by the command line
//!     [model]
//!     architecture = "painn"
//!     hidden_channels = 4
//!     n_layers = 1
//!     [training]
//!     batch_size = 2
//!     epochs = 1
//!     "#,
//! )?;
//! let folder = tempfile::tempdir()?;
//! let run = RunFolder::open(&folder.path().join("run"), Start::New)?;
//! let data = Data { train: systems.into(), ..Data::default() };
//! let summary = train(&config, data, &run, &false.into(), &mut Silent, &|_| {})?;
//! assert_eq!(summary.steps, 2);
//! assert!(summary.model.exists());
//! # Ok(())
//! # }
//! ```
//!
//! A module uses modules of the rows above it, and its own children.
//!
//! | modules | idea |
//! |---|---|
//! | `loss`, [`mix`], [`optimizer`], [`schedule`], `moves`, `events` | numbers and settings of their own |
//! | `augment` | displacements that make disturbed copies |
//! | `prepared`, [`observer`], `journal`, [`folder`], [`state`] | systems as training sees them; files of a run |
//! | [`distill`] | teachers, strategies and the terms that they make |
//! | [`config`] | the configuration of a run |
//! | `step` | loss and gradient of a batch |
//! | [`trainer`] | the loop: epochs, validation, checkpoints |
//! | [`scales`], [`run`] | from a configuration to a trained model |
//! | [`host`] | services of the program that runs studies, plans and rounds |
//! | [`evaluation`], [`similarity`] | measuring models |
//! | [`generate`] | synthetic systems |
//! | [`study`] | many runs, and one table |
//! | [`plan`] | what teacher, student and data can reach, by short trainings |
//! | [`rounds`] | distillation in rounds: label, train, explore |

pub mod augment;
pub mod config;
pub mod distill;
pub mod evaluation;
mod events;
pub mod folder;
pub mod generate;
pub mod host;
mod journal;
pub mod loss;
pub mod mix;
mod moves;
pub mod observer;
pub mod optimizer;
pub mod plan;
pub mod prepared;
pub mod rounds;
pub mod run;
pub mod scales;
pub mod schedule;
pub mod similarity;
pub mod state;
pub mod step;
pub mod study;
mod together;
pub mod trainer;

/// Examples of the manual, compiled as tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../docs/book/src/how-to/add-a-strategy.md")]
    struct AddAStrategy;
}
