//! Energies that count from another zero than the dataset's.

use potstill_core::{Error, Result, System};
use potstill_data::dataset::{ReferenceEnergies, Systems, Visit};

use super::Matched;

/// Difference of energies in eV per atom that must be spoken of.
const ALIGNED: f64 = 0.5;
/// Smaller difference in eV per atom that constants for the elements explain.
const ALIGNED_BUT_FOR_CONSTANTS: f64 = 0.02;
/// Part of a difference that constants leave, at most, where they explain it.
const LEFT: f64 = 0.2;
/// Systems for each element that it takes to tell.
const TOLD_BY: usize = 5;

impl Matched<'_> {
    /// Finds out whether energies count from another zero, and adds constants where the options say so.
    pub(super) fn align(&mut self, dataset: &Systems) -> Result<()> {
        if !self.holds.energy || self.labels.options.align_energies == Some(false) {
            return Ok(());
        }
        let differences = Differences { matched: self, dataset };
        let (mean, count) = mean_per_atom(&differences, &|_| 0.0)?;
        match self.labels.options.align_energies {
            Some(_) if count == 0 => {
                Err(Error::setting("distill.labels.align_energies", "needs energies in the dataset to align with"))
            }
            Some(_) => {
                self.shift = Some(ReferenceEnergies::LeastSquares.fit(&differences)?.energies);
                Ok(())
            }
            None if mean > ALIGNED => Err(self.another_zero(mean, "")),
            None if mean > ALIGNED_BUT_FOR_CONSTANTS && explained(&differences, mean, count) => {
                Err(self.another_zero(mean, ", nearly all of it a constant for each element"))
            }
            None => Ok(()),
        }
    }

    fn another_zero(&self, mean: f64, how: &str) -> Error {
        self.labels.error(format!(
            "its energies differ from the dataset's by {mean:.2} eV per atom{how}; set distill.labels.align_energies = true to add \
             a constant for each element, or false if they shall be as they are"
        ))
    }
}

/// Whether constants for the elements explain a mean difference per atom.
fn explained(differences: &Differences<'_, '_>, mean: f64, count: usize) -> bool {
    let Ok(fit) = ReferenceEnergies::LeastSquares.fit(differences) else { return false };
    let constants = |system: &System| fit.energies.total(&system.atomic_numbers).unwrap_or(0.0);
    let left = mean_per_atom(differences, &constants).map_or(mean, |(left, _)| left);
    count >= TOLD_BY * fit.energies.elements().count() && left <= LEFT * mean
}

/// Mean size of the differences per atom without `constants`, and the number of systems that have one.
fn mean_per_atom(differences: &Differences<'_, '_>, constants: &dyn Fn(&System) -> f64) -> Result<(f64, usize)> {
    let (mut sum, mut count) = (0.0, 0_usize);
    differences.visit(&mut |_, system| {
        if let Some(energy) = system.energy {
            sum += ((energy - constants(system)) / system.n_atoms() as f64).abs();
            count += 1;
        }
        Ok(())
    })?;
    Ok((sum / count.max(1) as f64, count))
}

/// The dataset with what must be added to the labels' energies as energies.
struct Differences<'a, 'b> {
    matched: &'a Matched<'b>,
    dataset: &'a Systems,
}

impl Visit for Differences<'_, '_> {
    fn n_systems(&self) -> usize {
        self.dataset.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        self.dataset.visit(&mut |i, system| {
            let labels = self.matched.labels.systems.get(self.matched.places[i])?;
            let energy = system.energy.zip(labels.energy).map(|(ours, theirs)| ours - theirs);
            each(i, &System { energy, ..system.clone() })
        })
    }
}
