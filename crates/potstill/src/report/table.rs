//! The comparison as text.

use super::ModelRow;

/// Headings of the columns.
pub const HEADINGS: [&str; 8] = [
    "model",
    "parameters",
    "energy MAE (meV)",
    "per atom (meV)",
    "force MAE (meV/Å)",
    "force cosine",
    "EFwT (%)",
    "systems/s",
];

/// The cells of one row, in the order of [`HEADINGS`].
pub fn cells(row: &ModelRow) -> [String; 8] {
    let show = |value: Option<f64>, scale: f64, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |v| format!("{:.digits$}", v * scale))
    };
    let m = &row.metrics;
    [
        row.name.clone(),
        row.n_parameters.to_string(),
        show(m.energy_mae, 1e3, 1),
        show(m.energy_mae_per_atom, 1e3, 2),
        show(m.forces_mae, 1e3, 1),
        show(m.forces_cos, 1.0, 4),
        show(m.efwt, 100.0, 2),
        format!("{:.0}", row.systems_per_second),
    ]
}

/// What was closed of the gap, in words.
pub fn describe_gap(gap_closed: Option<(f64, f64)>) -> String {
    let Some((energy, forces)) = gap_closed else {
        return "gap closed: not defined, the student alone is no worse than its teacher".to_owned();
    };
    let part = |what: &str, value: f64| match value >= 0.0 {
        true => format!("{what} {value:.1} %"),
        false => format!("{what} {value:.1} % (worse than without a teacher)"),
    };
    format!("gap closed: {}, {}", part("energy", energy), part("forces", forces))
}

/// An aligned table with a line about the gap.
pub fn table(rows: &[ModelRow], gap_closed: Option<(f64, f64)>) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let width = |k: usize| lines.iter().map(|line| line[k].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (k, cell) in line.iter().enumerate() {
            let padding = " ".repeat(widths[k] - cell.chars().count());
            text += &if k == 0 { format!("{cell}{padding}") } else { format!("  {padding}{cell}") };
        }
        text.push('\n');
    }
    text + &describe_gap(gap_closed)
}
