//! Chemical symbols and atomic numbers.

/// Symbol of each element; index 0 is hydrogen.
const SYMBOLS: [&str; 118] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce",
    "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc",
    "Lv", "Ts", "Og",
];

/// Largest atomic number with a symbol.
pub const MAX_ATOMIC_NUMBER: u8 = 118;

/// Chemical symbol of an atomic number, `None` outside 1..=118.
pub fn symbol(atomic_number: u8) -> Option<&'static str> {
    SYMBOLS.get(usize::from(atomic_number).checked_sub(1)?).copied()
}

/// Atomic number of a chemical symbol such as `Cu`; `None` for anything else, case matters.
pub fn atomic_number(symbol: &str) -> Option<u8> {
    atomic_number_bytes(symbol.as_bytes())
}

/// [`atomic_number`] for bytes, as parsers hold them.
pub fn atomic_number_bytes(symbol: &[u8]) -> Option<u8> {
    // The first nine light elements make up most rows of most files, and the search is linear.
    SYMBOLS.iter().position(|s| s.as_bytes() == symbol).map(|i| i as u8 + 1)
}

/// Symbol of an element, or `Z=…` for a number that has none.
pub fn symbol_or_number(z: u8) -> String {
    symbol(z).map_or_else(|| format!("Z={z}"), str::to_owned)
}

/// `H, C, O`, or `none`.
pub fn list_symbols(elements: impl IntoIterator<Item = u8>) -> String {
    let symbols: Vec<String> = elements.into_iter().map(symbol_or_number).collect();
    if symbols.is_empty() { "none".into() } else { symbols.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_numbers_are_inverse() {
        for z in 1..=MAX_ATOMIC_NUMBER {
            assert_eq!(atomic_number(symbol(z).unwrap()), Some(z));
        }
        assert_eq!(symbol(0), None);
        assert_eq!(symbol(119), None);
        assert_eq!(atomic_number("Xx"), None);
        assert_eq!(atomic_number("cu"), None);
    }
}
