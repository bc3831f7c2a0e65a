//! Units that a file says it is in.
//!
//! Numbers are read as eV and Å. A file that says otherwise under a key such as `units`, `energy_unit` or `length-units` is
//! refused: converting one label and not the next would be worse than asking. Words that are no unit are left alone.

/// Subjects of keys that name units: these and `unit` or `units`, apart from `_`, `-` and case.
const SUBJECTS: [&str; 19] = [
    "",
    "energy",
    "energies",
    "length",
    "lengths",
    "distance",
    "distances",
    "position",
    "positions",
    "pos",
    "coordinate",
    "coordinates",
    "coord",
    "cell",
    "lattice",
    "force",
    "forces",
    "system",
    "lammps",
];

/// Words for units that are not ours, in lower case, and what they are called.
const FOREIGN: [(&str, &str); 26] = [
    ("hartree", "hartree"),
    ("hartrees", "hartree"),
    ("ha", "hartree"),
    ("eh", "hartree"),
    ("au", "atomic units"),
    ("a.u.", "atomic units"),
    ("a.u", "atomic units"),
    ("atomic", "atomic units"),
    ("real", "LAMMPS real units"),
    ("kcal", "kcal/mol"),
    ("kj", "kJ/mol"),
    ("ry", "Ry"),
    ("rydberg", "Ry"),
    ("rydbergs", "Ry"),
    ("mev", "meV"),
    ("kelvin", "K"),
    ("cm-1", "1/cm"),
    ("joule", "J"),
    ("bohr", "bohr"),
    ("bohrs", "bohr"),
    ("a0", "bohr"),
    ("nm", "nm"),
    ("nanometer", "nm"),
    ("nanometers", "nm"),
    ("pm", "pm"),
    ("picometer", "pm"),
];

/// Complaint about a key of a file that names units other than eV and Å.
pub(super) fn foreign(key: &str, text: &str) -> Option<String> {
    // Nearly all keys end here.
    if key.len() < 4 || !key.as_bytes().windows(4).any(|four| four.eq_ignore_ascii_case(b"unit")) {
        return None;
    }
    let plain: String = key.chars().filter(|c| c.is_ascii_alphabetic()).map(|c| c.to_ascii_lowercase()).collect();
    let subject = plain.strip_suffix("units").or_else(|| plain.strip_suffix("unit"))?;
    if !SUBJECTS.contains(&subject) {
        return None;
    }
    let lower = text.to_lowercase();
    // A dash stays: `1/cm` is often written `cm-1`.
    let words = lower.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-')));
    let name = words.into_iter().find_map(|word| FOREIGN.iter().find(|(known, _)| *known == word))?.1;
    let text: String = text.chars().take(40).collect();
    Some(format!(
        "`{key}` says `{text}` ({name}), but energies are read in eV, lengths in Å and forces in eV/Å; convert the file, or \
         remove this key if it is wrong"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_are_not_ours_are_named() {
        for (key, text, name) in [
            ("units", "Hartree", "(hartree)"),
            ("energy_unit", "kcal/mol", "(kcal/mol)"),
            ("Energy-Units", "kJ mol-1", "(kJ/mol)"),
            ("lengthUnits", "Bohr", "(bohr)"),
            ("forces_unit", "eV/bohr", "(bohr)"),
            ("units", r#"{"energy": "eV", "positions": "nm"}"#, "(nm)"),
            ("unit_system", "", ""),
            ("units", "a.u.", "(atomic units)"),
            ("lammps_units", "real", "(LAMMPS real units)"),
        ] {
            match foreign(key, text) {
                Some(message) => assert!(message.contains(name) && !name.is_empty(), "{message}"),
                None => assert!(name.is_empty(), "{key}={text}"),
            }
        }
    }

    #[test]
    fn ours_and_what_is_no_unit_pass() {
        for (key, text) in [
            ("units", "eV/Angstrom"),
            ("units", "metal"),
            ("energy_unit", "eV"),
            ("length_unit", "Å"),
            ("stress_unit", "GPa"),
            ("community", "hartree"),
            ("formula_unit", "ha"),
            ("unit", "7"),
            ("charge_units", "a.u."),
        ] {
            assert_eq!(foreign(key, text), None, "{key}={text}");
        }
    }
}
