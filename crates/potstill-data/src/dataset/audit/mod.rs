//! Checks of a dataset before it is trained on: what is probably, or certainly, not what its owner thinks it is.
//!
//! | file | what it looks for |
//! |---|---|
//! | [`units`](self) | lengths, energies and forces in other units than eV and Å, forces with the wrong sign |
//! | `charges` | charges and spins, which networks here do not see |
//! | `repeats` | the same structure twice: with two energies, or in training and in validation or test |
//! | `isolated` | isolated atoms among training systems |
//! | `stress` | stress labels, which training does not use |
//! | `validation` | training without validation systems |
//!
//! An [`Audit`] takes systems one by one, keeps a sample of them and 72 bytes of each, and takes well under a second
//! for ten thousand molecules.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Systems, Visit};
use potstill_core::{Result, System};

mod charges;
mod finding;
mod fingerprint;
mod isolated;
mod repeats;
mod sample;
mod stress;
mod units;
mod validation;

pub use finding::{Finding, Report, Severity};
pub use fingerprint::Fingerprint;

/// Purpose of a set of systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Nothing yet.
    All,
    /// To learn from.
    Training,
    /// Synthetic systems to learn from.
    Synthetic,
    /// To choose weights with.
    Validation,
    /// To judge with.
    Test,
}

impl Split {
    /// Name, as an adjective.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Training => "training",
            Self::Synthetic => "synthetic",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// Whether weights are fitted to it.
    fn is_learnt(self) -> bool {
        matches!(self, Self::Training | Self::Synthetic)
    }
}

/// Treatment of systems that are in more than one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaks {
    /// Leaks are counted, and that is all.
    Allow,
    /// Leaks are a warning.
    #[default]
    Warn,
    /// Test systems that are training systems are refused; other leaks are a warning.
    Refuse,
}

/// Options of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether units and signs are checked.
    pub units: bool,
    /// Treatment of leaks.
    pub leaks: Leaks,
    /// Whether the systems are about to be trained on.
    pub training: bool,
    /// Whether isolated atoms give reference energies and are then left out.
    pub isolated_are_references: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { units: true, leaks: Leaks::default(), training: false, isolated_are_references: false }
    }
}

/// Systems of one split out of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    split: Split,
    file: Option<PathBuf>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display()),
            None => write!(f, "{} systems", self.split.name()),
        }
    }
}

/// Place of a system: its part of the data and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    part: u32,
    /// Index in the file, or in the split where the file is not known.
    index: u32,
}

impl Place {
    /// `system 3 of train.xyz`
    fn describe(self, parts: &[Part]) -> String {
        parts.get(self.part as usize).map_or_else(String::new, |part| format!("system {} of {part}", self.index))
    }
}

/// Check that sees one system after the other.
trait Check {
    /// Takes in the next system.
    fn add(&mut self, place: Place, split: Split, system: &System);

    /// Findings of the check.
    fn finish(&mut self, parts: &[Part]) -> Vec<Finding>;
}

/// All checks of a dataset, in one pass.
pub struct Audit {
    parts: Vec<Part>,
    checks: Vec<Box<dyn Check>>,
}

impl Audit {
    /// An audit that has seen nothing.
    pub fn new(options: Options) -> Self {
        let mut checks: Vec<Box<dyn Check>> = vec![
            Box::new(charges::Charges::default()),
            Box::new(repeats::Repeats::new(options.leaks)),
            Box::new(isolated::IsolatedAtoms::new(options)),
            Box::new(stress::Stress::default()),
        ];
        if options.units {
            checks.insert(0, Box::new(units::Units::default()));
        }
        if options.training {
            checks.push(Box::new(validation::Validation::default()));
        }
        Self { parts: Vec::new(), checks }
    }

    /// Takes in the next system, number `index` of its file, or of its split where the file is not known.
    pub fn add(&mut self, split: Split, file: Option<&Path>, index: usize, system: &System) {
        if self.parts.last().is_none_or(|part| part.split != split || part.file.as_deref() != file) {
            self.parts.push(Part { split, file: file.map(Path::to_owned) });
        }
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Place { part: narrow(self.parts.len() - 1), index: narrow(index) };
        self.checks.iter_mut().for_each(|check| check.add(place, split, system));
    }

    /// Takes in all systems of a split.
    ///
    /// # Errors
    /// A system that cannot be read.
    pub fn add_all(&mut self, split: Split, systems: &Systems) -> Result<()> {
        systems.visit(&mut |i, system| {
            match systems.origin(i) {
                Some((file, index)) => self.add(split, Some(file), index, system),
                None => self.add(split, None, i, system),
            }
            Ok(())
        })
    }

    /// Report of all findings, the gravest first.
    pub fn finish(mut self) -> Report {
        let mut findings: Vec<Finding> = self.checks.iter_mut().flat_map(|check| check.finish(&self.parts)).collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Report { findings }
    }
}

#[cfg(test)]
mod tests;
