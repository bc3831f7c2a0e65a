//! Atomic units, in which the protocol speaks.

use potstill_core::units::{BOHR, HARTREE};

/// Sizes of the atomic units of length and energy.
///
/// Programs disagree about them in the eighth figure. A server that converts with other values than its driver prints energies
/// that differ from the potential's by a constant factor: with [`AtomicUnits::CODATA_2018`] 1e-7 in i-PI, 8e-9 in ASE, which
/// matters for nothing but comparisons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtomicUnits {
    /// Atomic unit of length in Å.
    pub bohr: f64,
    /// Atomic unit of energy in eV.
    pub hartree: f64,
}

impl AtomicUnits {
    /// Values of CODATA 2018, as everywhere in potstill.
    pub const CODATA_2018: Self = Self { bohr: BOHR, hartree: HARTREE };
    /// Values of `ase.units` (CODATA 2014).
    pub const ASE: Self = Self { bohr: 0.5291772105638411, hartree: 27.211386024367243 };
    /// Values of i-PI 3.3 (`ipi/utils/units.py`: angstrom 1.8897261, electronvolt 0.036749326).
    pub const I_PI: Self = Self { bohr: 1.0 / 1.889_726_1, hartree: 1.0 / 0.036_749_326 };
}

impl Default for AtomicUnits {
    fn default() -> Self {
        Self::CODATA_2018
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_agree_to_seven_figures() {
        let AtomicUnits { bohr, hartree } = AtomicUnits::default();
        for other in [AtomicUnits::ASE, AtomicUnits::I_PI] {
            assert!((other.bohr / bohr - 1.0).abs() < 2e-8, "{other:?}");
            assert!((other.hartree / hartree - 1.0).abs() < 1.1e-7, "{other:?}");
        }
    }
}
