//! The models' numbers as text, in columns.

use super::columns::columns;
use super::{Gap, ModelRow};

/// Stands for what is not known.
pub(super) const MISSING: &str = "–";
/// Said instead of the gap closed, when there is none.
pub(super) const NO_GAP: &str = "not defined, the student alone is no worse than its teacher in energy or forces";
/// Headings of the columns: what, and its unit.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("model", ""),
    ("parameters", ""),
    ("energy MAE", "meV"),
    ("energy MAE", "meV/atom"),
    ("force MAE", "meV/Å"),
    ("force cosine", ""),
    ("EFwT", "%"),
    ("speed", "systems/s"),
];

/// A table for a terminal: a line of headings, one of units, one for each model, and one for each gap that was closed, in percent of
/// energy and forces. No line break at its end.
pub fn table(rows: &[ModelRow], gaps: &[Gap]) -> String {
    let mut lines = vec![COLUMNS.map(|c| c.0.to_owned()).to_vec(), COLUMNS.map(|c| c.1.to_owned()).to_vec()];
    lines.extend(cells(rows).into_iter().map(|row| row.to_vec()));
    let mut text = columns(&lines);
    for Gap { name, percent } in gaps {
        let percent = match percent {
            Some((energy, forces)) => format!("energy {}, forces {}", gap_text(*energy), gap_text(*forces)),
            None => NO_GAP.to_owned(),
        };
        text += &format!("gap closed by {name}: {percent}\n");
    }
    text.truncate(text.trim_end().len());
    text
}

/// The text of each cell, one array for each model.
pub(super) fn cells(rows: &[ModelRow]) -> Vec<[String; 8]> {
    let column = |value: fn(&ModelRow) -> Option<f64>| numbers(&rows.iter().map(value).collect::<Vec<_>>());
    let columns = [
        column(|r| r.metrics.energy_mae.map(milli)),
        column(|r| r.metrics.energy_mae_per_atom.map(milli)),
        column(|r| r.metrics.forces_mae.map(milli)),
        column(|r| r.metrics.forces_cos),
        column(|r| r.metrics.efwt.map(|fraction| 100.0 * fraction)),
        column(|r| Some(r.systems_per_second).filter(|&s| s > 0.0)),
    ];
    let row = |(i, row): (usize, &ModelRow)| {
        std::array::from_fn(|c| match c {
            0 => row.name.replace(char::is_control, " "),
            1 => grouped(row.n_parameters),
            _ => columns[c - 2][i].clone(),
        })
    };
    rows.iter().enumerate().map(row).collect()
}

/// Converts eV to meV, eV/Å to meV/Å.
pub(super) fn milli(value: f64) -> f64 {
    1_000.0 * value
}

/// Most decimals of a number.
const MOST_DECIMALS: f64 = 4.0;

/// Numbers of one column with a common count of decimals: three digits of the smallest, or fewer (at least one) where
/// the largest would have more than four.
pub(super) fn numbers(values: &[Option<f64>]) -> Vec<String> {
    let exponents = values.iter().flatten().filter(|v| v.is_finite() && **v != 0.0).map(|v| v.abs().log10().floor());
    let range = exponents.fold(None, |range, e| Some(range.map_or((e, e), |(l, h): (f64, f64)| (l.min(e), h.max(e)))));
    let decimals = range.map_or(0.0, |(low, high)| (2.0 - low).min((3.0 - high).max(-low)).clamp(0.0, MOST_DECIMALS));
    values.iter().map(|value| value.map_or_else(|| MISSING.to_owned(), |v| number(v, decimals as usize))).collect()
}

fn number(value: f64, decimals: usize) -> String {
    match value.abs() {
        size if !size.is_finite() => MISSING.to_owned(),
        size if size >= 1e9 || (size > 0.0 && size < 0.5 * 10f64.powf(-MOST_DECIMALS)) => format!("{value:.2e}"),
        _ => format!("{value:.decimals$}"),
    }
}

/// An integer with commas between groups of three digits.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let comma = |i: usize| i > 0 && (digits.len() - i).is_multiple_of(3);
    digits.chars().enumerate().flat_map(|(i, c)| comma(i).then_some(',').into_iter().chain([c])).collect()
}

/// The part of a gap that was closed, and in words when it is not between nothing and all.
pub(super) fn gap_text(percent: f64) -> String {
    match percent {
        p if !p.is_finite() => MISSING.to_owned(),
        p if p < 0.0 => format!("{p:.1} % (worse than without teacher)"),
        p if p > 100.0 => format!("{p:.1} % (better than the teacher)"),
        p => format!("{p:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_the_column() {
        assert_eq!(numbers(&[Some(41.2345), None, Some(122.1)]), ["41.2", "–", "122.1"]);
        assert_eq!(numbers(&[Some(0.05), Some(950.0)]), ["0.05", "950.00"]);
        assert_eq!(numbers(&[Some(0.0), Some(-12_345.6), Some(f64::NAN)]), ["0", "-12346", "–"]);
        assert_eq!(numbers(&[Some(3e-8), Some(1e300)]), ["3.00e-8", "1.00e300"]);
    }

    #[test]
    fn groups_of_three_digits() {
        let numbers = [0, 999, 1_000, 30_900_000].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "30,900,000"]);
    }

    #[test]
    fn gaps_beyond_their_ends_are_said_in_words() {
        assert_eq!(gap_text(45.21), "45.2 %");
        assert_eq!(gap_text(-12.0), "-12.0 % (worse than without teacher)");
        assert_eq!(gap_text(130.0), "130.0 % (better than the teacher)");
        assert_eq!(gap_text(f64::NAN), MISSING);
    }
}
