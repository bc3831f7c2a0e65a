//! Questions to a teacher: features of taps and derivatives of forces, beside the labels.

use potstill_core::Precision;
use potstill_core::model::Tap;
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::probes::Probes;

/// Labels that a teacher gives for every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// Energies of systems. Default true.
    pub energy: bool,
    /// Forces. Default true.
    pub forces: bool,
    /// Energies of atoms. Default true.
    pub atomic_energies: bool,
    /// Spread of the energies and forces of several teachers. Default false.
    pub spread: bool,
    /// Virials, where they were asked for. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub virial: bool,
}

impl Default for Holds {
    fn default() -> Self {
        Self { energy: true, forces: true, atomic_energies: true, spread: false, virial: false }
    }
}

/// Features asked for at one tap of a teacher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Tap of the teacher.
    pub tap: Tap,
    /// Kinds of features.
    pub kinds: Vec<Kind>,
}

impl Wanted {
    /// Adds features to a list that has one entry for each tap.
    pub fn add(all: &mut Vec<Self>, tap: Tap, kinds: &[Kind]) {
        let own = match all.iter().position(|w| w.tap == tap) {
            Some(i) => i,
            None => {
                all.push(Self { tap, kinds: Vec::new() });
                all.len() - 1
            }
        };
        for kind in kinds {
            if !all[own].kinds.contains(kind) {
                all[own].kinds.push(*kind);
            }
        }
    }
}

/// Everything that is asked of a teacher beside energies and forces.
#[derive(Debug, Clone, PartialEq)]
pub struct Questions {
    /// Features.
    pub features: Vec<Wanted>,
    /// Derivatives of the forces.
    pub probes: Option<Probes>,
    /// Whether virials are asked for.
    pub virials: bool,
    /// Precision of the features; energies are always stored in f64, forces at least in f32.
    pub precision: Precision,
}

impl Default for Questions {
    fn default() -> Self {
        Self { features: Vec::new(), probes: None, virials: false, precision: Precision::F16 }
    }
}
