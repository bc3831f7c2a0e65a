//! Sizes of eV, Å, eV/Å and eV/Å³ in the units of other programs (CODATA 2018).

/// Atomic unit of length in Å (CODATA 2018).
pub const BOHR: f64 = 0.529_177_210_903;

/// Atomic unit of energy in eV (CODATA 2018).
pub const HARTREE: f64 = 27.211_386_245_988;

/// A unit and how many of it one of ours is.
pub type Unit = (&'static str, f64);

/// Size of 1 eV in other units.
pub const ENERGY: [Unit; 5] =
    [("kcal/mol", 23.0605), ("kJ/mol", 96.4853), ("hartree", 0.0367493), ("Ry", 0.0734986), ("meV", 1000.0)];

/// Size of 1 eV/Å in other units.
pub const FORCE: [Unit; 8] = [
    ("kcal/mol/Å", 23.0605),
    ("kJ/mol/Å", 96.4853),
    ("hartree/bohr", 0.0194469),
    ("hartree/Å", 0.0367493),
    ("Ry/bohr", 0.0388938),
    ("Ry/Å", 0.0734986),
    ("eV/bohr", 0.529177),
    ("meV/Å", 1000.0),
];

/// Size of 1 Å in other units.
pub const LENGTH: [Unit; 3] = [("bohr", 1.889726), ("nm", 0.1), ("pm", 100.0)];

/// Size of 1 eV/Å³ in GPa.
pub const PRESSURE: f64 = 160.217_663_4;

/// Pressure or stress in GPa of one in eV/Å³.
pub fn to_gigapascal(pressure: f64) -> f64 {
    pressure * PRESSURE
}

/// Pressure or stress in eV/Å³ of one in GPa.
pub fn from_gigapascal(pressure: f64) -> f64 {
    pressure / PRESSURE
}

/// The unit whose size is nearest to `ratio`, if it is within `factor` of it.
pub fn nearest(units: &[Unit], ratio: f64, factor: f64) -> Option<Unit> {
    let off = |(_, size): &Unit| (ratio / size).ln().abs();
    let best = units.iter().copied().min_by(|a, b| off(a).total_cmp(&off(b)))?;
    (off(&best) < factor.ln()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_by_their_size() {
        assert_eq!(nearest(&ENERGY, 25.0, 1.5).map(|u| u.0), Some("kcal/mol"));
        assert_eq!(nearest(&FORCE, 0.02, 1.1).map(|u| u.0), Some("hartree/bohr"));
        assert_eq!((nearest(&ENERGY, 1.0, 1.5), nearest(&ENERGY, f64::NAN, 1.5)), (None, None));
    }

    #[test]
    fn pressures_agree_with_the_si() {
        let (electronvolt, angstrom) = (1.602_176_634e-19_f64, 1e-10_f64);
        assert!((to_gigapascal(1.0) / (electronvolt / angstrom.powi(3) * 1e-9) - 1.0).abs() < 1e-12);
        assert!((to_gigapascal(from_gigapascal(2.5)) - 2.5).abs() < 1e-15);
    }

    #[test]
    fn rounded_sizes_are_those_of_the_constants() {
        let size = |units: &[Unit], name| units.iter().find(|u| u.0 == name).unwrap().1;
        assert!((size(&LENGTH, "bohr") * BOHR - 1.0).abs() < 1e-6);
        assert!((size(&ENERGY, "hartree") * HARTREE - 1.0).abs() < 1e-6);
        assert!((size(&FORCE, "hartree/bohr") * HARTREE / BOHR - 1.0).abs() < 1e-6);
    }

    #[test]
    fn derived_units_agree() {
        let bohr = 1.0 / LENGTH[0].1;
        for (force, energy) in [("hartree/bohr", "hartree"), ("Ry/bohr", "Ry")] {
            let size = |units: &[Unit], name| units.iter().find(|u| u.0 == name).unwrap().1;
            assert!((size(&FORCE, force) / (size(&ENERGY, energy) * bohr) - 1.0).abs() < 1e-4);
        }
    }
}
