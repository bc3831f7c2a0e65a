//! Energies of the elements, subtracted from total energies before a network sees them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keyword::{KeywordOr, keyword_or_table};
use super::pseudo_inverse::PseudoInverse;
use potstill_core::elements::{list_symbols, symbol_or_number};
use potstill_core::model::ElementEnergies;

use super::{ElementSet, Visit, error_at};
use potstill_core::error::{Error, Result};
use potstill_core::system::System;

/// The setting that errors here speak of.
const KEY: &str = "reference_energies";
const WORDS: [&str; 3] = ["none", "isolated_atoms", "least_squares"];
/// Two isolated atoms of one element may differ by this much in eV: the rounding of a printed energy.
const SAME_ENERGY: f64 = 1e-5;

/// Source of the energy of each element.
///
/// In TOML: `"none"`, `"isolated_atoms"`, `"least_squares"`, or a table such as `{ H = -13.57, C = -1026.85 }` in eV.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ReferenceEnergies {
    /// Zero for every element.
    #[default]
    None,
    /// Energies of systems of one atom that are not periodic, or whose `config_type` is `isolated_atom`.
    IsolatedAtoms,
    /// The energies that, summed over atoms, come nearest to the total energies; the shortest such vector when the
    /// compositions leave a choice.
    LeastSquares,
    /// Given.
    Table(ElementEnergies),
}

/// Element energies and how they were found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReferenceFit {
    /// The energies, at least one for every element of the data.
    pub energies: ElementEnergies,
    /// Indices of the isolated-atom systems that were used, ascending; empty for other sources.
    pub isolated_systems: Vec<usize>,
    /// Whether the compositions leave a choice (least squares only): totals are right, single elements arbitrary.
    pub underdetermined: bool,
}

impl ReferenceEnergies {
    /// Finds an energy for every element of `systems`.
    ///
    /// # Errors
    /// Elements without a table entry, an isolated atom or any labelled system, all of them listed; isolated atoms
    /// of one element that disagree; labels that are not finite.
    pub fn fit(&self, systems: &(impl Visit + ?Sized)) -> Result<ReferenceFit> {
        match self {
            Self::None => {
                let energies = ElementEnergies::new(present(systems)?.into_iter().map(|z| (z, 0.0)));
                Ok(ReferenceFit { energies, ..Default::default() })
            }
            Self::Table(energies) => {
                let advice = "add them to the table, or use \"least_squares\"";
                require(energies, &present(systems)?, "no energy for", advice)?;
                Ok(ReferenceFit { energies: energies.clone(), ..Default::default() })
            }
            Self::IsolatedAtoms => fit_isolated_atoms(systems),
            Self::LeastSquares => fit_least_squares(systems),
        }
    }
}

/// Every one of `elements` must have an energy; lists those that lack one.
fn require(energies: &ElementEnergies, elements: &[u8], what: &str, advice: &str) -> Result<()> {
    let lacking: Vec<u8> = elements.iter().copied().filter(|&z| energies.get(z).is_none()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Error::setting(KEY, format!("{what} {}, found in the data; {advice}", list_symbols(lacking))))
}

/// Elements of all systems.
fn present(systems: &(impl Visit + ?Sized)) -> Result<Vec<u8>> {
    let mut elements = ElementSet::default();
    systems.visit(&mut |_, system| {
        elements.add(system);
        Ok(())
    })?;
    Ok(elements.elements())
}

fn fit_isolated_atoms(systems: &(impl Visit + ?Sized)) -> Result<ReferenceFit> {
    let mut fit = ReferenceFit::default();
    // System and energy of the first isolated atom of each element.
    let mut first_of: BTreeMap<u8, (usize, f64)> = BTreeMap::new();
    let mut elements = ElementSet::default();
    systems.visit(&mut |index, system| {
        elements.add(system);
        let (Some(z), Some(energy)) = (isolated_atom(system), finite_energy(index, system)?) else { return Ok(()) };
        let (first, known) = *first_of.entry(z).or_insert((index, energy));
        if (known - energy).abs() > SAME_ENERGY {
            let symbol = symbol_or_number(z);
            let message = format!("isolated {symbol} has {energy} eV, but {known} eV in system {first}; keep one");
            return Err(error_at(index, system, message));
        }
        fit.isolated_systems.push(index);
        Ok(())
    })?;
    fit.energies = ElementEnergies::new(first_of.into_iter().map(|(z, (_, energy))| (z, energy)));
    let advice = "add systems of one atom with an energy and without pbc, or use \"least_squares\" or a table";
    require(&fit.energies, &elements.elements(), "no isolated atom of", advice)?;
    Ok(fit)
}

/// Atomic number of the only atom, if that atom is alone in space.
pub(super) fn isolated_atom(system: &System) -> Option<u8> {
    let [z] = system.atomic_numbers[..] else { return None };
    let declared = system.metadata.get("config_type").is_some_and(|value| {
        let plain: String = value.to_string().chars().filter(|c| c.is_alphanumeric()).collect();
        plain.eq_ignore_ascii_case("isolatedatom")
    });
    // One atom in a periodic cell is a crystal unless the file says otherwise.
    (declared || !system.is_periodic()).then_some(z)
}

fn fit_least_squares(systems: &(impl Visit + ?Sized)) -> Result<ReferenceFit> {
    let mut all = ElementSet::default();
    let mut equations = NormalEquations::new();
    systems.visit(&mut |index, system| {
        all.add(system);
        if let Some(energy) = finite_energy(index, system)? {
            equations.add(&composition(system), energy);
        }
        Ok(())
    })?;
    let elements = equations.elements();
    let inverse = PseudoInverse::new(equations.gram(&elements), elements.len());
    let mut energies = [0.0; 256];
    let mut correct = |right: &[f64; 256]| {
        let right: Vec<f64> = elements.iter().map(|&z| right[usize::from(z)]).collect();
        elements.iter().zip(inverse.solve(&right)).for_each(|(&z, e)| energies[usize::from(z)] += e);
        energies
    };
    let first = correct(&equations.right);
    // A second pass solves for what rounding left of the first: normal equations square the condition number.
    let mut right = [0.0; 256];
    systems.visit(&mut |_, system| {
        if let Some(energy) = system.energy {
            let counts = composition(system);
            let residual = energy - counts.iter().map(|&(z, c)| c * first[z]).sum::<f64>();
            counts.iter().for_each(|&(z, c)| right[z] += c * residual);
        }
        Ok(())
    })?;
    let energies = correct(&right);
    let fit = ReferenceFit {
        underdetermined: inverse.rank() < elements.len(),
        energies: ElementEnergies::new(elements.iter().map(|&z| (z, energies[usize::from(z)]))),
        ..Default::default()
    };
    let advice = "give energies, or use \"none\" or a table";
    require(&fit.energies, &all.elements(), "no system with an energy holds", advice)?;
    Ok(fit)
}

/// Atomic numbers of a system and how often each occurs, ascending.
fn composition(system: &System) -> Vec<(usize, f64)> {
    let mut counts = [0_u32; 256];
    system.atomic_numbers.iter().for_each(|&z| counts[usize::from(z)] += 1);
    counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(z, n)| (z, f64::from(*n))).collect()
}

/// Sums over systems of counts times counts and of counts times energies, by atomic number.
struct NormalEquations {
    gram: Vec<f64>,
    right: [f64; 256],
}

impl NormalEquations {
    fn new() -> Self {
        Self { gram: vec![0.0; 256 * 256], right: [0.0; 256] }
    }

    fn add(&mut self, counts: &[(usize, f64)], energy: f64) {
        for &(z, c) in counts {
            self.right[z] += c * energy;
            counts.iter().for_each(|&(other, d)| self.gram[256 * z + other] += c * d);
        }
    }

    /// Elements that were seen, ascending.
    fn elements(&self) -> Vec<u8> {
        (0..=u8::MAX).filter(|&z| self.gram[257 * usize::from(z)] > 0.0).collect()
    }

    /// The rows and columns of some elements.
    fn gram(&self, elements: &[u8]) -> Vec<f64> {
        let entry = |row: u8, column: u8| self.gram[256 * usize::from(row) + usize::from(column)];
        elements.iter().flat_map(|&row| elements.iter().map(move |&column| entry(row, column))).collect()
    }
}

fn finite_energy(index: usize, system: &System) -> Result<Option<f64>> {
    match system.energy {
        Some(energy) if !energy.is_finite() => {
            Err(error_at(index, system, format!("energy is {energy}; correct the label or remove it")))
        }
        energy => Ok(energy),
    }
}

impl Serialize for ReferenceEnergies {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => output.serialize_str(WORDS[0]),
            Self::IsolatedAtoms => output.serialize_str(WORDS[1]),
            Self::LeastSquares => output.serialize_str(WORDS[2]),
            Self::Table(energies) => energies.serialize(output),
        }
    }
}

impl<'de> Deserialize<'de> for ReferenceEnergies {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(match keyword_or_table(input, &WORDS)? {
            KeywordOr::Keyword(1) => Self::IsolatedAtoms,
            KeywordOr::Keyword(2) => Self::LeastSquares,
            KeywordOr::Keyword(_) => Self::None,
            KeywordOr::Table(energies) => Self::Table(energies),
        })
    }
}

#[cfg(test)]
mod tests;
