//! Files of systems in and out, programs that label systems, and datasets: splits, statistics, sampling, checks, systems left on disk.
//!
//! Nothing here prints, and nothing knows a tensor framework. Units are eV and Å everywhere.
//!
//! ```
//! use potstill_core::System;
//! use potstill_data::io::{self, LabelKeys};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("argon.extxyz.zst");
//! let atom = System { atomic_numbers: vec![18], positions: vec![[0.0; 3]], energy: Some(-0.5), ..System::default() };
//!
//! // The format follows from the name; the file appears when it is complete.
//! let mut writer = io::write(&path)?;
//! writer.write(&atom)?;
//! writer.finish()?;
//!
//! let (systems, _keys) = io::read_all(&path, &LabelKeys::default())?;
//! assert_eq!(systems[0].energy, Some(-0.5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod dataset;
pub mod evaluation;
pub mod io;
pub mod program;
