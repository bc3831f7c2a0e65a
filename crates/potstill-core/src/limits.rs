//! Bounds of numbers that users and files give, and the memory of this machine.
//!
//! The bounds are far beyond use and far below what overflows. Configurations, headers of model files and indices of caches are
//! held against the same ones, before anything of their size is allocated.

use crate::{Error, Result};

/// Width of features, hidden layers and projections.
pub const WIDTH: Bound = Bound::new(1, 1 << 16);
/// Number of layers or blocks.
pub const DEPTH: Bound = Bound::new(1, 1 << 10);
/// Number of functions that expand a distance.
pub const RADIAL: Bound = Bound::new(2, 1 << 14);
/// Number of functions that expand an angle.
pub const ANGULAR: Bound = Bound::new(1, 64);
/// Exponent of an envelope.
pub const EXPONENT: Bound = Bound::new(2, 256);
/// Number of nearest neighbours.
pub const NEIGHBORS: Bound = Bound::new(1, 1 << 30);
/// Number of systems of a dataset, a batch or a shard.
pub const SYSTEMS: Bound = Bound::new(1, 1 << 32);
/// Number of atoms of a dataset, a batch or a shard.
pub const ATOMS: Bound = Bound::new(1, 1 << 36);
/// Number of epochs, validations or steps of a run.
pub const STEPS: Bound = Bound::new(1, 1_000_000_000_000);
/// Number of directions along which forces are differentiated.
pub const PROBES: Bound = Bound::new(1, 1000);

/// Number of steps of an attack on the positions of a system.
pub const ATTACK_STEPS: Bound = Bound::new(1, 1000);

/// Largest weight of a loss or factor of a step.
pub const LARGEST_WEIGHT: f64 = 1e12;
/// Largest displacement of an atom in Å.
pub const LONGEST_DISPLACEMENT: f64 = 10.0;
/// Largest cutoff in Å.
pub const LONGEST_CUTOFF: f64 = 1000.0;
/// Largest number of weights of a network.
pub const MOST_WEIGHTS: f64 = 2e10;

/// Least and largest value of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    least: u64,
    most: u64,
}

impl Bound {
    /// Bound from `least` to `most`, both allowed.
    pub const fn new(least: u64, most: u64) -> Self {
        Self { least, most }
    }

    /// Bound with the same largest value and another least one.
    #[must_use]
    pub const fn at_least(self, least: u64) -> Self {
        Self { least, ..self }
    }

    /// Complaint about a value outside the bound; `None` within it.
    pub fn complaint(self, value: usize) -> Option<String> {
        self.complaint_of(value as u64)
    }

    fn complaint_of(self, value: u64) -> Option<String> {
        let Self { least, most } = self;
        (!(least..=most).contains(&value)).then(|| format!("is {value}; it must lie between {least} and {most}"))
    }

    /// Checks the value of a setting.
    ///
    /// # Errors
    /// A value outside, with the key, the value and the bounds.
    pub fn check(self, key: &str, value: usize) -> Result<()> {
        self.check_count(key, value as u64)
    }

    /// Checks the value of a setting that counts steps or the like.
    ///
    /// # Errors
    /// As [`Bound::check`].
    pub fn check_count(self, key: &str, value: u64) -> Result<()> {
        match self.complaint_of(value) {
            None => Ok(()),
            Some(complaint) => Err(Error::setting(key, complaint)),
        }
    }
}

/// Checks several sizes of one section: name, value, bound.
///
/// # Errors
/// The first value outside its bound.
pub fn check_sizes(section: &str, sizes: &[(&str, usize, Bound)]) -> Result<()> {
    sizes.iter().try_for_each(|(name, value, bound)| bound.check(&format!("{section}.{name}"), *value))
}

/// Complaint about a cutoff in Å that is no usable distance; `None` for a good one.
pub fn cutoff_complaint(cutoff: f64) -> Option<String> {
    if !(cutoff.is_finite() && cutoff > 0.0) {
        return Some(format!("{cutoff} is not a distance; give a positive number of Å, such as 6.0"));
    }
    (cutoff > LONGEST_CUTOFF).then(|| format!("{cutoff:e} Å is more than {LONGEST_CUTOFF} Å; 4 to 12 Å are usual"))
}

/// Checks a number of weights, which may be absurd and is therefore a real number.
///
/// # Errors
/// More than any network has.
pub fn check_weights(n_weights: f64) -> Result<()> {
    match n_weights <= MOST_WEIGHTS {
        true => Ok(()),
        false => {
            let message =
                format!("these sizes make {n_weights:.1e} weights, more than {MOST_WEIGHTS:.0e}; give smaller ones");
            Err(Error::setting("model", message))
        }
    }
}

/// Bytes that this machine can still give to this process, where it tells.
pub fn available_memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

/// Checks that an estimated number of bytes is there.
///
/// # Errors
/// More than the machine has left, with both numbers.
pub fn check_memory(key: &str, what: &str, bytes: f64) -> Result<()> {
    match available_memory() {
        Some(available) if bytes > available => {
            let message =
                format!("{what} take {} at least, and {} are free; give smaller sizes", gib(bytes), gib(available));
            Err(Error::setting(key, message))
        }
        _ => Ok(()),
    }
}

/// Bytes in words.
pub fn gib(bytes: f64) -> String {
    format!("{:.1} GiB", bytes / 1024.0_f64.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_named() {
        for value in [1, 1 << 16] {
            assert!(WIDTH.check("model.hidden_channels", value).is_ok());
        }
        for value in [0, (1 << 16) + 1, usize::MAX] {
            let error = WIDTH.check("model.hidden_channels", value).unwrap_err().to_string();
            assert_eq!(error, format!("model.hidden_channels: is {value}; it must lie between 1 and 65536"));
        }
        let sizes = [("a", 3, WIDTH), ("b", 1, WIDTH.at_least(2))];
        assert_eq!(
            check_sizes("model", &sizes).unwrap_err().to_string(),
            "model.b: is 1; it must lie between 2 and 65536"
        );
    }

    #[test]
    fn cutoffs_are_distances_within_reason() {
        for cutoff in [1e-3, 6.0, 1000.0] {
            assert_eq!(cutoff_complaint(cutoff), None);
        }
        for cutoff in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6, 1e308] {
            assert!(cutoff_complaint(cutoff).is_some_and(|c| c.len() < 100), "{cutoff}");
        }
    }

    #[test]
    fn memory_that_no_machine_has_is_refused() {
        assert!(check_memory("model", "weights", 1.0).is_ok());
        if available_memory().is_some() {
            let error = check_memory("model", "weights and optimiser", 1e18).unwrap_err().to_string();
            assert!(error.starts_with("model: weights and optimiser take 931322574.6 GiB at least, and "), "{error}");
        }
        assert!(check_weights(1e6).is_ok());
        assert!(check_weights(f64::INFINITY).is_err() && check_weights(f64::NAN).is_err());
    }
}
