//! The `[data]` section.

use std::path::PathBuf;

use potstill_data::dataset::audit::Leaks;
use potstill_data::dataset::{Normalization, ReferenceEnergies};
use serde::{Deserialize, Serialize};

use crate::mix::Mix;

/// Files of systems to learn from, and the names of their labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Files to train on; paths are relative to the configuration file.
    #[serde(default)]
    pub train: Vec<PathBuf>,
    /// Files that choose the best checkpoint and end training early; never trained on.
    #[serde(default)]
    pub validation: Vec<PathBuf>,
    /// Synthetic systems, such as `potstill data generate` makes, of which each epoch visits some. Reference energies and
    /// normalisation do not depend on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub synthetic: Vec<PathBuf>,
    /// Share and weight of the synthetic systems: `{ synthetic = 0.2, weight = 1.0, labels = true }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// Use only the first that many training systems. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_train_systems: Option<usize>,
    /// Whether systems are read into memory and their graphs drawn once (`true`), or read and prepared at each step (`false`:
    /// plain `.extxyz`, `.npz` and LMDB only; memory does not grow with their number beyond an index). Results are the same.
    /// Default: in memory when they are estimated to take at most 4 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_memory: Option<bool>,
    /// Key of the energy. Default: the first of the usual names that the file has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_key: Option<String>,
    /// Name of the forces column. Default: the first of the usual names that the file has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forces_key: Option<String>,
    /// Per-element energies taken off the labels: `"none"`, `"isolated_atoms"`, `"least_squares"` or a table in eV.
    /// Default: `"least_squares"`.
    #[serde(default = "least_squares")]
    pub reference_energies: ReferenceEnergies,
    /// Checks before the first step: `{ units = false, leaks = "allow" }`. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<ChecksConfig>,
    /// Shift and scale of the labels: `"none"`, `"energy"`, `"forces"` or a table. Default: `"forces"`.
    #[serde(default = "by_forces")]
    pub normalization: Normalization,
}

impl DataConfig {
    /// All defaults, and no file.
    pub fn without_files() -> Self {
        Self { reference_energies: least_squares(), normalization: by_forces(), ..Self::default() }
    }
}

/// Checks of the data before the first step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksConfig {
    /// Whether systems whose units or force signs are not those of eV and Å are refused. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<bool>,
    /// Reaction to validation and test systems that are training systems, too: `"allow"`, `"warn"` or `"refuse"`
    /// (which is about test systems only). Default: `"warn"` in training, `"refuse"` in studies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaks: Option<Leaks>,
}

fn least_squares() -> ReferenceEnergies {
    ReferenceEnergies::LeastSquares
}

fn by_forces() -> Normalization {
    Normalization::Forces
}
