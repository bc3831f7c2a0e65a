//! Energies of the elements, subtracted from total energies before a network sees them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::elements::{atomic_number, list_symbols, symbol_or_number};
use crate::error::{Error, Result};

/// Energy of an atom of each element in eV; serialised as a map from symbols.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, f64>", into = "BTreeMap<String, f64>")]
pub struct ElementEnergies {
    by_number: BTreeMap<u8, f64>,
}

impl ElementEnergies {
    /// Energies from pairs of atomic number and eV.
    pub fn new(energies: impl IntoIterator<Item = (u8, f64)>) -> Self {
        Self { by_number: energies.into_iter().collect() }
    }

    /// Energy of one element in eV.
    pub fn get(&self, atomic_number: u8) -> Option<f64> {
        self.by_number.get(&atomic_number).copied()
    }

    /// Atomic numbers with an energy, ascending.
    pub fn elements(&self) -> impl Iterator<Item = u8> + '_ {
        self.by_number.keys().copied()
    }

    /// Sum over the atoms of a system in eV; it does not depend on the order of the atoms, not even by rounding.
    ///
    /// # Errors
    /// Names the first element without an energy.
    pub fn total(&self, atomic_numbers: &[u8]) -> Result<f64> {
        let mut counts = [0u32; 256];
        atomic_numbers.iter().for_each(|&z| counts[usize::from(z)] += 1);
        let mut total = 0.0;
        for z in (0..=u8::MAX).filter(|&z| counts[usize::from(z)] > 0) {
            let energy = self.get(z).ok_or_else(|| {
                let known = list_symbols(self.elements());
                Error::Other(format!("no reference energy for {}; known: {known}", symbol_or_number(z)))
            })?;
            total += f64::from(counts[usize::from(z)]) * energy;
        }
        Ok(total)
    }
}

impl TryFrom<BTreeMap<String, f64>> for ElementEnergies {
    type Error = String;

    fn try_from(by_symbol: BTreeMap<String, f64>) -> Result<Self, String> {
        let mut by_number = BTreeMap::new();
        for (symbol, energy) in by_symbol {
            let z = atomic_number(&symbol).ok_or_else(|| format!("unknown element `{symbol}`"))?;
            if !energy.is_finite() {
                return Err(format!("energy of {symbol} is {energy}; it must be finite"));
            }
            by_number.insert(z, energy);
        }
        Ok(Self { by_number })
    }
}

impl From<ElementEnergies> for BTreeMap<String, f64> {
    fn from(energies: ElementEnergies) -> Self {
        energies.by_number.into_iter().map(|(z, energy)| (symbol_or_number(z), energy)).collect()
    }
}
