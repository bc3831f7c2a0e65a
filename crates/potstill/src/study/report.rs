//! What a study leaves: tables and a page.

use anyhow::{Context, Result};
use potstill_core::io::write_atomically;

use super::bench::Bench;
use super::plan::Cell;
use super::table::{Mean, Row, csv, markdown};
use crate::report::{Curve, Plot, Report};

impl Bench<'_> {
    /// Writes `table.md`, `table.csv`, `summary.json` and `report.html`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, cells: &[Cell], rows: &[Row]) -> Result<()> {
        let out = &self.args.out;
        let text = |name: &str, text: String| write_atomically(&out.join(name), |w| w.write_all(text.as_bytes()));
        text("table.md", markdown(rows))?;
        text("table.csv", csv(rows))?;
        text("summary.json", serde_json::to_string_pretty(rows)?)?;
        text("report.html", self.report(cells, rows)?.to_html()?)?;
        for name in ["table.md", "table.csv", "summary.json", "report.html"] {
            eprintln!("{}", out.join(name).display());
        }
        Ok(())
    }

    fn report(&self, cells: &[Cell], rows: &[Row]) -> Result<Report> {
        let point = |metric: fn(&Row) -> Option<Mean>| -> Vec<Curve> {
            let points = rows.iter().filter_map(|row| Some((row, metric(row)?.mean, row.systems_per_second?.mean)));
            let curve = |(row, error, speed): (&Row, f64, f64)| Curve {
                name: format!("{} {}", row.student, row.run),
                points: vec![(speed, 1e3 * error)],
            };
            points.map(curve).collect()
        };
        let mut plots = Vec::new();
        for (title, label, metric) in [
            ("Energy error and speed", "energy MAE in meV", (|r| r.energy_mae) as fn(&Row) -> Option<Mean>),
            ("Force error and speed", "force MAE in meV/Å", |r| r.forces_mae),
        ] {
            plots.push(Plot {
                title: title.to_owned(),
                x_label: "systems per second".to_owned(),
                y_label: label.to_owned(),
                log_y: false,
                curves: point(metric),
            });
        }
        for (s, student) in self.study.students.iter().enumerate() {
            for (what, key, unit) in
                [("energy", "energy_mae", "energy MAE in meV"), ("force", "forces_mae", "force MAE in meV/Å")]
            {
                let of_student = |c: &&Cell| c.student == s && c.seed == self.study.seeds[0];
                let curves = cells.iter().filter(of_student).map(|c| self.curve(c, key)).collect::<Result<Vec<_>>>()?;
                plots.push(Plot {
                    title: format!(
                        "{}: {what} error on validation systems, seed {}",
                        student.name, self.study.seeds[0]
                    ),
                    x_label: "step".to_owned(),
                    y_label: unit.to_owned(),
                    log_y: true,
                    curves,
                });
            }
        }
        let mut provenance = vec![("All numbers".to_owned(), markdown(rows))];
        for cell in cells {
            let config = std::fs::read_to_string(self.folder(cell).join("config.toml")).unwrap_or_default();
            provenance.push((self.name(cell), config));
        }
        Ok(Report {
            title: "Study".to_owned(),
            summary: format!(
                "{} runs of {} students with {} seeds; errors on {} test systems, which no model was trained or chosen on. \
                 Means over seeds with standard errors; the gap that distillation closes is taken seed by seed.",
                self.study.runs.len(),
                self.study.students.len(),
                self.study.seeds.len(),
                self.test.len()
            ),
            plots,
            provenance,
            ..Report::default()
        })
    }

    fn curve(&self, cell: &Cell, key: &str) -> Result<Curve> {
        let path = self.folder(cell).join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot open", path.display()))?;
        let points = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|v| Some((v["step"].as_f64()?, 1e3 * v["validation"][key].as_f64()?)))
            .collect();
        Ok(Curve { name: self.study.runs[cell.run].name.clone(), points })
    }
}
