//! Finding energy, forces and stress among the keys.

use super::columns::{Column, Kind};
use super::comment::Pair;
use super::value;
use crate::io::keys::{self, ChosenKeys, ENERGY_KEYS, FORCES_KEYS, LabelKeys, STRESS_KEYS};
use potstill_core::system::Mat3;

/// Smallest volume in Å³ by which a virial is divided.
const SMALLEST_VOLUME: f64 = 1e-9;

/// The keys that were asked for and those that were settled on.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    wanted: LabelKeys,
    /// Keys found so far.
    pub chosen: ChosenKeys,
}

impl Labels {
    /// Labels to look for, with the keys that are chosen already.
    pub fn new(wanted: LabelKeys, chosen: ChosenKeys) -> Self {
        Self { wanted, chosen }
    }

    /// Settles the forces column, if these columns have one.
    ///
    /// # Errors
    /// When the column that was asked for is absent.
    pub fn choose_forces(&mut self, columns: &[Column]) -> Result<(), String> {
        if let Some(name) = &self.wanted.forces {
            if !columns.iter().any(|c| c.name == *name) {
                return Err(absent("forces column", name, columns.iter().map(|c| c.name.as_str())));
            }
            self.chosen.forces = Some(name.clone());
        } else if self.chosen.forces.is_none() {
            let fits = |c: &Column| c.kind == Kind::Real && c.count == 3;
            let present = |name: &str| columns.iter().any(|c| c.name == name && fits(c));
            if let Some((best, others)) = keys::search(FORCES_KEYS, present) {
                (self.chosen.forces, self.chosen.other_forces) = (Some(best), others);
            }
        }
        Ok(())
    }

    /// The energy in eV and the index of its pair.
    ///
    /// # Errors
    /// When the key that was asked for is absent, or the energy is not a finite number.
    pub fn energy(&mut self, pairs: &[Pair<'_>]) -> Result<Option<(usize, f64)>, String> {
        if let Some(name) = &self.wanted.energy {
            if position(pairs, name).is_none() {
                return Err(absent("energy key", name, pairs.iter().map(|p| &*p.key)));
            }
            self.chosen.energy = Some(name.clone());
        } else if self.chosen.energy.is_none() {
            // A lone `E` may be anything, a field for example: it counts only when it is a number.
            let present = |name: &str| {
                position(pairs, name).is_some_and(|i| name != "E" || value::real(pairs[i].text.trim()).is_some())
            };
            if let Some((best, others)) = keys::search(ENERGY_KEYS, present) {
                (self.chosen.energy, self.chosen.other_energies) = (Some(best), others);
            }
        }
        let Some((i, key)) = self.chosen.energy.as_ref().and_then(|key| Some((position(pairs, key)?, key))) else {
            return Ok(None);
        };
        let text = &pairs[i].text;
        match value::real(text.trim()) {
            Some(v) if v.is_finite() => Ok(Some((i, v))),
            Some(_) => Err(format!("{key} is not finite: `{text}`; repair or remove this system")),
            None => Err(format!("{key}: expected a number, found `{}`", super::rows::shown(text.as_bytes()))),
        }
    }

    /// The stress in eV/Å³ (tension positive) and the index of its pair.
    ///
    /// # Errors
    /// When the key that was asked for is absent or cannot be used, or the numbers are not finite.
    pub fn stress(&mut self, pairs: &[Pair<'_>], volume: Option<f64>) -> Result<Option<(usize, Mat3)>, String> {
        let volume = volume.filter(|v| *v > SMALLEST_VOLUME && v.is_finite());
        let usable = |name: &str| !is_virial(name) || volume.is_some();
        if let Some(name) = &self.wanted.stress {
            if position(pairs, name).is_none() {
                return Err(absent("stress key", name, pairs.iter().map(|p| &*p.key)));
            }
            if !usable(name) {
                return Err(format!("{name} needs a Lattice with a volume to become a stress"));
            }
            self.chosen.stress = Some(name.clone());
        } else if self.chosen.stress.is_none() {
            let present = |name: &str| position(pairs, name).is_some() && usable(name);
            if let Some((best, others)) = keys::search(STRESS_KEYS, present) {
                (self.chosen.stress, self.chosen.other_stresses) = (Some(best), others);
            }
        }
        let Some((i, key)) = self.chosen.stress.as_ref().and_then(|key| Some((position(pairs, key)?, key))) else {
            return Ok(None);
        };
        let numbers = value::numbers(&pairs[i]).unwrap_or_default();
        let Some(matrix) = value::matrix(&numbers) else {
            let found = super::rows::shown(pairs[i].text.as_bytes());
            return Err(format!("{key}: expected 9 numbers, or 6 (xx yy zz yz xz xy), found `{found}`"));
        };
        let scale = match (is_virial(key), volume) {
            (false, _) => 1.0,
            (true, Some(volume)) => -1.0 / volume,
            (true, None) => return Ok(None),
        };
        let stress = matrix.map(|row| row.map(|v| if scale == 1.0 { v } else { v * scale }));
        if stress.as_flattened().iter().all(|v| v.is_finite()) {
            return Ok(Some((i, stress)));
        }
        Err(format!("{key} is not finite: `{}`; repair or remove this system", pairs[i].text))
    }
}

fn is_virial(name: &str) -> bool {
    name.to_ascii_lowercase().contains("virial")
}

/// Position of a key; of two pairs with one key the later counts.
pub fn position(pairs: &[Pair<'_>], key: &str) -> Option<usize> {
    pairs.iter().rposition(|pair| pair.key == key)
}

fn absent<'a>(what: &str, name: &str, there: impl Iterator<Item = &'a str>) -> String {
    let there: Vec<&str> = there.collect();
    if there.is_empty() {
        return format!("no {what} `{name}`; there are no keys here");
    }
    format!("no {what} `{name}`; here are {}", there.join(", "))
}
