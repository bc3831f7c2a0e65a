//! Units and signs of labels, found by comparison with the dataset's, whose units are known.

use std::borrow::Cow;

use potstill_core::units::{self, Unit};
use potstill_core::{Result, System};
use potstill_data::dataset::{Normalization, ReferenceEnergies, Systems};

use super::Matched;

/// Systems whose forces and energies are compared.
const COMPARED: usize = 1000;
/// Factor between forces or energies of two methods in the same units, at most.
const SAME_UNITS: f64 = 3.0;
/// Correlation of forces below which their sign is the other one.
const FLIPPED: f64 = -0.5;
/// Advice for labels that are right as they are.
const UNLESS: &str = "(or set distill.labels.check_units = false)";

impl Matched<'_> {
    /// Compares signs and sizes with the dataset's.
    pub(super) fn check_units(&self, dataset: &Systems) -> Result<()> {
        let n = dataset.len().min(COMPARED);
        let members = dataset.get_all(0..n)?;
        let found = self.labels.systems.get_all(self.places[..n].iter().copied())?;
        self.check_signs(&members, &found)?;
        if let Some(ratio) = force_ratio(&members, &found) {
            self.judge("forces", ratio, &units::FORCE)?;
        }
        match (spread(&members), spread(&found)) {
            (Some(ours), Some(theirs)) if n >= 10 && ours > 0.0 && theirs > 0.0 => {
                self.judge("energies", theirs / ours, &units::ENERGY)
            }
            _ => Ok(()),
        }
    }

    /// Refuses forces that point against the dataset's, as gradients do.
    fn check_signs(&self, members: &[Cow<'_, System>], found: &[Cow<'_, System>]) -> Result<()> {
        let correlation = correlation(members, found);
        if correlation >= FLIPPED || correlation.is_nan() {
            return Ok(());
        }
        Err(self.labels.error(format!(
            "its forces point against the dataset's (correlation {correlation:.2}), as gradients of the energy do; give forces, \
             the gradients times -1 {UNLESS}"
        )))
    }

    fn judge(&self, what: &str, ratio: f64, known: &[Unit]) -> Result<()> {
        if (1.0 / SAME_UNITS..SAME_UNITS).contains(&ratio) {
            return Ok(());
        }
        let near = units::nearest(known, ratio, 1.5);
        let guess = near.map_or_else(String::new, |(name, _)| format!(", as if they were in {name}"));
        Err(self.labels.error(format!(
            "its {what} are {ratio:.3} times as large as the dataset's{guess}; they must be in eV and Å {UNLESS}"
        )))
    }
}

/// Forces of systems that have them in both sets.
fn pairs<'a>(
    members: &'a [Cow<'_, System>],
    found: &'a [Cow<'_, System>],
) -> impl Iterator<Item = (&'a [f64], &'a [f64])> {
    let both = members.iter().zip(found).filter_map(|(a, b)| a.forces.as_ref().zip(b.forces.as_ref()));
    both.map(|(a, b)| (a.as_flattened(), b.as_flattened()))
}

/// Correlation of all force components about zero; not a number without forces.
fn correlation(members: &[Cow<'_, System>], found: &[Cow<'_, System>]) -> f64 {
    let (mut product, mut ours, mut theirs) = (0.0, 0.0, 0.0);
    for (a, b) in pairs(members, found).flat_map(|(a, b)| a.iter().zip(b)) {
        product += a * b;
        ours += a * a;
        theirs += b * b;
    }
    product / (ours * theirs).sqrt()
}

/// Median ratio of the lengths of the forces of whole systems.
fn force_ratio(members: &[Cow<'_, System>], found: &[Cow<'_, System>]) -> Option<f64> {
    let length = |forces: &[f64]| forces.iter().map(|f| f * f).sum::<f64>().sqrt();
    let ratios = pairs(members, found).map(|(ours, theirs)| length(theirs) / length(ours));
    let mut ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite() && *ratio > 0.0).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

/// Energies less a fitted constant for each element.
fn spread(systems: &[Cow<'_, System>]) -> Option<f64> {
    let systems: Vec<System> = systems.iter().filter(|s| s.energy.is_some()).map(|s| s.as_ref().clone()).collect();
    let fit = ReferenceEnergies::LeastSquares.fit(&systems).ok()?;
    Some(Normalization::Energy.fit(&systems, &fit.energies).ok()?.energy_std)
}
