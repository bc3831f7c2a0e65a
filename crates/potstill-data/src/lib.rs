//! Files of systems in and out, and datasets: splits, statistics, sampling, checks, systems left on disk.
//!
//! Nothing here prints, and nothing knows a tensor framework. Units are eV and Å everywhere.

pub mod dataset;
pub mod evaluation;
pub mod io;
