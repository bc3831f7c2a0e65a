//! The table of a study: means and standard errors over seeds.

use std::fmt::Write;

use serde::Serialize;

/// Mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// Mean.
    pub mean: f64,
    /// Standard error of the mean; none for one seed.
    pub standard_error: Option<f64>,
}

impl Mean {
    /// Mean and standard error of some values; none without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let standard_error = (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Some(Self { mean, standard_error })
    }

    fn text(&self, scale: f64, digits: usize) -> String {
        match self.standard_error {
            Some(error) => format!("{:.digits$} ± {:.digits$}", scale * self.mean, scale * error),
            None => format!("{:.digits$}", scale * self.mean),
        }
    }
}

/// Line of the table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// Name of the test set.
    pub test: String,
    /// Name of the student; `teacher` for the teacher, `constant` for the constant predictor.
    pub student: String,
    /// Name of the run; for the constant predictor, of the student whose reference energies it has.
    pub run: String,
    /// Factor on the weights that was chosen on the validation systems; none where nothing was to choose.
    pub factor: Option<f64>,
    /// Settings that were chosen on the validation systems among the alternatives of the run.
    pub settings: Vec<String>,
    /// Seeds that are done.
    pub n_seeds: usize,
    /// Energy MAE in eV.
    pub energy_mae: Option<Mean>,
    /// Root mean square error of energies in eV.
    pub energy_rmse: Option<Mean>,
    /// Force MAE in eV/Å.
    pub forces_mae: Option<Mean>,
    /// Root mean square error of force components in eV/Å.
    pub forces_rmse: Option<Mean>,
    /// Energy MAE against the teacher's answers in eV.
    pub energy_mae_against_teacher: Option<Mean>,
    /// Force MAE against the teacher's answers in eV/Å.
    pub forces_mae_against_teacher: Option<Mean>,
    /// Mean cosine of forces.
    pub forces_cos: Option<Mean>,
    /// Fraction of systems within the thresholds.
    pub efwt: Option<Mean>,
    /// Part of the energy gap to the teacher that is closed, in per cent, seed by seed against the same seed alone.
    pub energy_gap_closed: Option<Mean>,
    /// Part of the force gap that is closed, likewise.
    pub forces_gap_closed: Option<Mean>,
    /// Alignment (CKA) of the last features with the teacher's last, for the first seed.
    pub alignment: Option<f64>,
    /// Parameters that are shipped; 0 for the constant predictor and a program.
    pub n_parameters: usize,
    /// Throughput of an evaluation.
    pub systems_per_second: Option<Mean>,
    /// Seconds of training.
    pub seconds: Option<Mean>,
}

/// A column: its head, and the text of a row.
type Column = (&'static str, fn(&Row) -> String);

/// Columns for people; that of the test set is left out when there is but one.
const COLUMNS: [Column; 18] = [
    ("test", |row| row.test.clone()),
    ("student", |row| row.student.clone()),
    ("run", |row| row.run.clone()),
    ("weights ×", chosen),
    ("seeds", |row| row.n_seeds.to_string()),
    ("energy MAE (meV)", |row| text(row.energy_mae, 1e3, 1)),
    ("force MAE (meV/Å)", |row| text(row.forces_mae, 1e3, 1)),
    ("force RMSE (meV/Å)", |row| text(row.forces_rmse, 1e3, 1)),
    ("force cosine", |row| text(row.forces_cos, 1.0, 4)),
    ("EFwT (%)", |row| text(row.efwt, 100.0, 2)),
    ("against the teacher: energy MAE (meV)", |row| text(row.energy_mae_against_teacher, 1e3, 1)),
    ("forces (meV/Å)", |row| text(row.forces_mae_against_teacher, 1e3, 1)),
    ("energy gap closed (%)", |row| text(row.energy_gap_closed, 1.0, 1)),
    ("force gap closed (%)", |row| text(row.forces_gap_closed, 1.0, 1)),
    ("CKA", |row| row.alignment.map_or_else(nothing, |alignment| format!("{alignment:.2}"))),
    ("parameters", |row| if row.n_parameters == 0 { nothing() } else { row.n_parameters.to_string() }),
    ("systems/s", |row| text(row.systems_per_second, 1.0, 0)),
    ("training (s)", |row| text(row.seconds, 1.0, 0)),
];

/// Factor or settings that were chosen.
fn chosen(row: &Row) -> String {
    match row.factor {
        Some(factor) => factor.to_string(),
        None if row.settings.is_empty() => nothing(),
        None => row.settings.join(" "),
    }
}

fn nothing() -> String {
    "–".to_owned()
}

fn text(mean: Option<Mean>, scale: f64, digits: usize) -> String {
    mean.map_or_else(nothing, |mean| mean.text(scale, digits))
}

/// Columns that tell rows apart.
fn columns(rows: &[Row]) -> &'static [Column] {
    let one_set = rows.windows(2).all(|pair| pair[0].test == pair[1].test);
    if one_set { &COLUMNS[1..] } else { &COLUMNS }
}

/// The table with its headings.
pub fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let columns = columns(rows);
    let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    let cells = |row: &Row| columns.iter().map(|(_, cell)| cell(row)).collect();
    std::iter::once(heads).chain(rows.iter().map(cells)).collect()
}

/// The table for a text.
pub fn markdown(rows: &[Row]) -> String {
    let mut lines = table(rows).into_iter().map(|cells| format!("| {} |\n", cells.join(" | ")));
    let heads = lines.next().unwrap_or_default();
    format!("{heads}|{}\n", "---|".repeat(columns(rows).len())) + &lines.collect::<String>()
}

/// A number of a row.
type Number = (&'static str, fn(&Row) -> Option<Mean>);

/// Means for other programs.
const NUMBERS: [Number; 12] = [
    ("energy_mae", |row| row.energy_mae),
    ("energy_rmse", |row| row.energy_rmse),
    ("forces_mae", |row| row.forces_mae),
    ("forces_rmse", |row| row.forces_rmse),
    ("forces_cos", |row| row.forces_cos),
    ("efwt", |row| row.efwt),
    ("energy_mae_against_teacher", |row| row.energy_mae_against_teacher),
    ("forces_mae_against_teacher", |row| row.forces_mae_against_teacher),
    ("energy_gap_closed", |row| row.energy_gap_closed),
    ("forces_gap_closed", |row| row.forces_gap_closed),
    ("systems_per_second", |row| row.systems_per_second),
    ("seconds", |row| row.seconds),
];

/// The table for other programs: plain units, mean and standard error in columns of their own.
pub fn csv(rows: &[Row]) -> String {
    let heads = NUMBERS.map(|(name, _)| format!("{name},{name}_se")).join(",");
    let mut out = format!("test,student,run,factor,seeds,alignment,parameters,{heads}\n");
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    for row in rows {
        let Row { test, student, run, n_seeds, n_parameters, .. } = row;
        let (factor, alignment) = (number(row.factor), number(row.alignment));
        let cells = NUMBERS
            .map(|(_, of)| of(row))
            .map(|mean| format!("{},{}", number(mean.map(|m| m.mean)), number(mean.and_then(|m| m.standard_error))));
        let cells = cells.join(",");
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{},{},{run},{factor},{n_seeds},{alignment},{n_parameters},{cells}",
            quoted(test),
            quoted(student)
        );
    }
    out
}

/// A field, in quotes where it must be.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_errors_when_there_are_seeds() {
        assert_eq!(Mean::of(&[]), None);
        assert_eq!(Mean::of(&[2.0]).unwrap().text(10.0, 1), "20.0");
        let mean = Mean::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!(
            (mean.mean - 2.0).abs() < 1e-15 && (mean.standard_error.unwrap() - (1.0_f64 / 3.0).sqrt()).abs() < 1e-12
        );
        assert_eq!(mean.text(1.0, 2), "2.00 ± 0.58");
    }
}
