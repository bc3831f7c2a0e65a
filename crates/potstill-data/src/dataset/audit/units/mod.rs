//! Units and signs, told by what physics leaves no choice in.
//!
//! | file | measures | tells |
//! |---|---|---|
//! | `distances` | distance of each atom's nearest neighbour, as a part of the sum of covalent radii: about 1 | lengths |
//! | `stretch` | stiffness of bonds of hydrogen to C, N, O: 20 to 50 eV/Å² | size and sign of forces |
//! | `work` | change of the energy between similar frames over the work of the forces: 1 | energies against forces, sign |
//! | `verdict` | | what that means |
//!
//! Each speaks only where there is enough of it. Without bonds of hydrogen, energies and forces that are wrong by the same
//! factor cannot be told unless bonds are far too stiff or too soft; without similar frames, energies cannot be told at all.

use super::sample::Sample;
use super::{Check, Finding, Part, Place, Severity, Split};
use potstill_core::System;
use potstill_core::system::Vec3;

mod distances;
mod stretch;
#[cfg(test)]
mod tests;
mod verdict;
mod work;

/// Atoms that are looked at of the first file; later ones get fewer.
const ATOMS: usize = 40_000;

/// Looks at each file by itself.
#[derive(Debug, Default)]
pub(super) struct Units {
    current: Option<(u32, Sample)>,
    findings: Vec<(u32, Severity, String)>,
}

impl Units {
    fn judge(&mut self) {
        if let Some((part, sample)) = self.current.take() {
            let systems: Vec<&System> = sample.systems().collect();
            let found = verdict::judge(&systems).into_iter();
            self.findings.extend(found.map(|(severity, message)| (part, severity, message)));
        }
    }
}

impl Check for Units {
    fn add(&mut self, place: Place, split: Split, system: &System) {
        if self.current.as_ref().is_none_or(|(part, _)| *part != place.part) {
            self.judge();
            self.current = Some((place.part, Sample::new(8 * ATOMS / (8 + place.part as usize))));
        }
        // A teacher's labels are in the units of this program, whatever moved its atoms.
        if let Some((_, sample)) = self.current.as_mut().filter(|_| split != Split::Synthetic) {
            sample.add(system);
        }
    }

    fn finish(&mut self, parts: &[Part]) -> Vec<Finding> {
        self.judge();
        let finding = |(part, severity, message): (u32, Severity, String)| Finding {
            check: "units",
            severity,
            place: parts.get(part as usize).map_or_else(String::new, ToString::to_string),
            message,
        };
        std::mem::take(&mut self.findings).into_iter().map(finding).collect()
    }
}

/// The middle one of some numbers, which are sorted.
fn median(values: &mut [f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The number below which the given fraction of all lies; sorts them.
fn quantile(values: &mut [f64], fraction: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get((fraction * values.len() as f64) as usize).copied()
}

fn difference(a: &Vec3, b: &Vec3) -> Vec3 {
    std::array::from_fn(|k| a[k] - b[k])
}
