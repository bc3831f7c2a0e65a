//! Training and distilling interatomic potentials.
//!
//! A run is a [`config::Config`] and a folder; [`trainer::Trainer`] does the rest and prints nothing.

pub mod augment;
pub mod config;
pub mod distill;
mod events;
pub mod folder;
pub mod generate;
pub mod journal;
pub mod loss;
pub mod mix;
mod moves;
pub mod observer;
pub mod optimizer;
pub mod prepared;
pub mod run;
pub mod scales;
pub mod schedule;
pub mod similarity;
pub mod state;
pub mod step;
pub mod trainer;
