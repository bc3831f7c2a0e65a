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
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Name of the student; `teacher` for the teacher, `constant` for the constant predictor.
    pub student: String,
    /// Name of the run; for the constant predictor, of the student whose reference energies it has.
    pub run: String,
    /// Factor on the weights that was chosen on the validation systems; none where nothing was to choose.
    pub factor: Option<f64>,
    /// Seeds that are done.
    pub n_seeds: usize,
    /// Energy MAE in eV.
    pub energy_mae: Option<Mean>,
    /// Force MAE in eV/Å.
    pub forces_mae: Option<Mean>,
    /// Mean cosine of forces.
    pub forces_cos: Option<Mean>,
    /// Fraction of systems within the thresholds.
    pub efwt: Option<Mean>,
    /// Part of the energy gap to the teacher that is closed, in per cent, seed by seed against the same seed alone.
    pub energy_gap_closed: Option<Mean>,
    /// Part of the force gap that is closed, likewise.
    pub forces_gap_closed: Option<Mean>,
    /// Parameters that are shipped; 0 for the constant predictor.
    pub n_parameters: usize,
    /// Throughput of an evaluation.
    pub systems_per_second: Option<Mean>,
    /// Seconds of training.
    pub seconds: Option<Mean>,
}

/// Heads of the columns.
const HEADS: [&str; 13] = [
    "student",
    "run",
    "weights ×",
    "seeds",
    "energy MAE (meV)",
    "force MAE (meV/Å)",
    "force cosine",
    "EFwT (%)",
    "energy gap closed (%)",
    "force gap closed (%)",
    "parameters",
    "systems/s",
    "training (s)",
];

impl Row {
    fn cells(&self) -> [String; 13] {
        let text = |mean: &Option<Mean>, scale: f64, digits: usize| {
            mean.as_ref().map_or_else(|| "–".to_owned(), |m| m.text(scale, digits))
        };
        [
            self.student.clone(),
            self.run.clone(),
            self.factor.map_or_else(|| "–".to_owned(), |f| f.to_string()),
            self.n_seeds.to_string(),
            text(&self.energy_mae, 1e3, 1),
            text(&self.forces_mae, 1e3, 1),
            text(&self.forces_cos, 1.0, 4),
            text(&self.efwt, 100.0, 2),
            text(&self.energy_gap_closed, 1.0, 1),
            text(&self.forces_gap_closed, 1.0, 1),
            if self.n_parameters == 0 { "–".to_owned() } else { self.n_parameters.to_string() },
            text(&self.systems_per_second, 1.0, 0),
            text(&self.seconds, 1.0, 0),
        ]
    }
}

/// The table with its headings.
pub fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let heads = HEADS.map(str::to_owned).to_vec();
    std::iter::once(heads).chain(rows.iter().map(|row| row.cells().to_vec())).collect()
}

/// The table for a text.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = format!("| {} |\n|{}\n", HEADS.join(" | "), "---|".repeat(HEADS.len()));
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {} |", row.cells().join(" | "));
    }
    out
}

/// The table for other programs: plain units, mean and standard error in columns of their own.
pub fn csv(rows: &[Row]) -> String {
    let names = [
        "energy_mae",
        "forces_mae",
        "forces_cos",
        "efwt",
        "energy_gap_closed",
        "forces_gap_closed",
        "systems_per_second",
        "seconds",
    ];
    let heads = names.map(|name| format!("{name},{name}_se")).join(",");
    let mut out = format!("student,run,factor,seeds,parameters,{heads}\n");
    for row in rows {
        let means = [
            &row.energy_mae,
            &row.forces_mae,
            &row.forces_cos,
            &row.efwt,
            &row.energy_gap_closed,
            &row.forces_gap_closed,
            &row.systems_per_second,
            &row.seconds,
        ];
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let cells = means
            .map(|mean| format!("{},{}", number(mean.map(|m| m.mean)), number(mean.and_then(|m| m.standard_error))));
        let _ = writeln!(
            out,
            "{},{},{},{},{},{}",
            row.student,
            row.run,
            number(row.factor),
            row.n_seeds,
            row.n_parameters,
            cells.join(",")
        );
    }
    out
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
