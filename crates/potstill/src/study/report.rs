//! Tables and page of a study.

use std::path::Path;

use anyhow::{Context, Result};
use potstill_core::files::write_atomically;
use potstill_train::similarity::Similarity;
use potstill_train::study::{Bench, Cell, Mean, Pairs, Row, TestSet, Thinned, csv, markdown, table};

use crate::heat_map::{HeatMap, svg};
use crate::report::{Bar, Bars, Curve, Parity, Plot, Report};

/// Curves that can be told apart in one drawing.
const CURVES: usize = 8;

/// Writes `table.md`, `table.csv`, `summary.json` and `report.html`.
///
/// # Errors
/// Errors of the file system.
pub fn write(bench: &Bench<'_>, cells: &[Cell], rows: &[Row]) -> Result<()> {
    let out = &bench.place.out;
    let text = |name: &str, text: String| write_atomically(&out.join(name), |w| w.write_all(text.as_bytes()));
    text("table.md", markdown(rows))?;
    text("table.csv", csv(rows))?;
    text("summary.json", serde_json::to_string_pretty(rows)?)?;
    text("report.html", Page { bench, cells, rows }.report()?.to_html()?)?;
    for name in ["table.md", "table.csv", "summary.json", "report.html"] {
        say!("{}", out.join(name).display());
    }
    Ok(())
}

/// Validation errors of a run over its steps, in meV or meV/Å.
///
/// # Errors
/// A journal that cannot be read.
pub fn learning_curve(folder: &Path, name: &str, metric: &str) -> Result<Curve> {
    let path = folder.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot open", path.display()))?;
    let points = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|v| Some((v["step"].as_f64()?, 1e3 * v["validation"][metric].as_f64()?)))
        .collect();
    Ok(Curve { name: name.to_owned(), points })
}

/// A number of a row.
type Gap = fn(&Row) -> Option<Mean>;

fn bar(row: &Row, gap: Gap) -> Bar {
    let (value, error) = gap(row).map_or((f64::NAN, None), |gap| (gap.mean, gap.standard_error));
    Bar { name: row.run.clone(), value, error }
}

/// A study with its results.
struct Page<'a> {
    bench: &'a Bench<'a>,
    cells: &'a [Cell],
    rows: &'a [Row],
}

impl Page<'_> {
    fn report(&self) -> Result<Report> {
        let (mut plots, mut parities, mut heat_maps) = (Vec::new(), Vec::new(), Vec::new());
        for student in 0..self.bench.study.students.len() {
            let shown: Vec<&Cell> =
                self.cells.iter().filter(|c| c.student == student && c.seed == self.bench.study.seeds[0]).collect();
            plots.extend(self.learning_curves(student, &shown)?);
            parities.extend(self.parities(student, &shown));
            heat_maps.extend(self.heat_maps(student, &shown));
        }
        let mut provenance = Vec::new();
        for cell in self.cells {
            let config = std::fs::read_to_string(self.bench.folder(cell).join("config.toml")).unwrap_or_default();
            provenance.push((self.bench.name(cell), config));
        }
        let n_test: usize = self.bench.tests.iter().map(|set| set.systems.len()).sum();
        Ok(Report {
            title: "Study".to_owned(),
            summary: format!(
                "{} runs of {} students with {} seeds; errors on {} test systems, which no model was trained or chosen on. \
                 Means over seeds with standard errors; the gap that distillation closes is taken seed by seed. Learning \
                 curves, predictions and features are those of seed {}.",
                self.bench.study.runs.len(),
                self.bench.study.students.len(),
                self.bench.study.seeds.len(),
                n_test,
                self.bench.study.seeds[0]
            ),
            table: table(self.rows),
            gaps: self.gaps(),
            comparisons: self.accuracy_and_speed(),
            plots,
            parities,
            heat_maps,
            provenance,
            ..Report::default()
        })
    }

    /// Rows about a test set.
    fn about(&self, set: &TestSet) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.test == set.name)
    }

    /// A title, with the name of the test set where there are several.
    fn titled(&self, title: &str, set: &TestSet) -> String {
        if self.bench.tests.len() == 1 { title.to_owned() } else { format!("{title} ({})", set.name) }
    }

    /// Rows of a student in which it had a teacher.
    fn taught(&self, set: &TestSet, student: usize) -> impl Iterator<Item = &Row> {
        let name = &self.bench.study.students[student].name;
        let is_taught = |row: &Row| row.energy_gap_closed.or(row.forces_gap_closed).is_some();
        self.about(set).filter(move |row| row.student == *name && is_taught(row))
    }

    /// The run that closes most of a gap.
    fn best(&self, set: &TestSet, student: usize, gap: Gap) -> Option<&Row> {
        let closed = |row: &Row| gap(row).map_or(f64::NEG_INFINITY, |gap| gap.mean);
        self.taught(set, student).max_by(|a, b| closed(a).total_cmp(&closed(b)))
    }

    fn gaps(&self) -> Vec<Bars> {
        let kinds: [(&str, Gap); 2] = [("energy", |r| r.energy_gap_closed), ("force", |r| r.forces_gap_closed)];
        let mut all = Vec::new();
        for set in &self.bench.tests {
            for (s, student) in self.bench.study.students.iter().enumerate() {
                for (what, gap) in kinds {
                    let bars: Vec<Bar> = self.taught(set, s).map(|row| bar(row, gap)).collect();
                    let title = self.titled(&format!("{}: {what} gap closed", student.name), set);
                    if !bars.is_empty() {
                        all.push(Bars { title, unit: "%".to_owned(), bars });
                    }
                }
            }
        }
        all
    }

    /// The teacher, and each student alone and with the run that closes most of its gap.
    fn accuracy_and_speed(&self) -> Vec<Plot> {
        let plot = |set: &TestSet, title: &str, label: &str, metric: Gap, gap: Gap| {
            let alone = |s: usize| {
                let run = &self.bench.study.runs[self.bench.study.baseline()?].name;
                let student = &self.bench.study.students[s].name;
                self.about(set).find(|row| row.student == *student && row.run == *run)
            };
            let students = (0..self.bench.study.students.len()).flat_map(|s| [alone(s), self.best(set, s, gap)]);
            let shown = std::iter::once(self.about(set).next()).chain(students).flatten();
            let curve = |row: &Row| {
                let point = (row.systems_per_second?.mean, 1e3 * metric(row)?.mean);
                Some(Curve { name: format!("{} {}", row.student, row.run), points: vec![point] })
            };
            Plot {
                title: self.titled(title, set),
                x_label: "systems per second".to_owned(),
                y_label: label.to_owned(),
                log_y: false,
                curves: shown.filter_map(curve).collect(),
            }
        };
        let plots = |set: &TestSet| {
            [
                plot(set, "Energy error and speed", "energy MAE in meV", |r| r.energy_mae, |r| r.energy_gap_closed),
                plot(set, "Force error and speed", "force MAE in meV/Å", |r| r.forces_mae, |r| r.forces_gap_closed),
            ]
        };
        self.bench.tests.iter().flat_map(plots).collect()
    }

    /// Errors on validation systems; as many drawings as it takes to tell the runs apart, with the student alone in each.
    fn learning_curves(&self, student: usize, shown: &[&Cell]) -> Result<Vec<Plot>> {
        let name = &self.bench.study.students[student].name;
        let (alone, taught): (Vec<&Cell>, Vec<&Cell>) =
            shown.iter().partition(|cell| Some(cell.run) == self.bench.study.baseline());
        let groups: Vec<&[&Cell]> = match taught.is_empty() {
            true => vec![&[]],
            false => taught.chunks(CURVES - 1).collect(),
        };
        let mut plots = Vec::new();
        for group in &groups {
            for (what, key, unit) in
                [("energy", "energy_mae", "energy MAE in meV"), ("force", "forces_mae", "force MAE in meV/Å")]
            {
                let curves = alone.iter().chain(*group).map(|c| self.curve(c, key)).collect::<Result<Vec<_>>>()?;
                plots.push(Plot {
                    title: format!("{name}: {what} error on validation systems"),
                    x_label: "step".to_owned(),
                    y_label: unit.to_owned(),
                    log_y: true,
                    curves,
                });
            }
        }
        Ok(plots)
    }

    fn curve(&self, cell: &Cell, metric: &str) -> Result<Curve> {
        learning_curve(&self.bench.folder(cell), &self.bench.study.runs[cell.run].name, metric)
    }

    /// Predictions of the student alone and of the run that closes most of the energy gap.
    fn parities(&self, student: usize, shown: &[&Cell]) -> Vec<Parity> {
        let best = self.best(&self.bench.tests[0], student, |r| r.energy_gap_closed).map(|row| row.run.as_str());
        let is_shown = |c: &&&Cell| {
            Some(c.run) == self.bench.study.baseline() || Some(self.bench.study.runs[c.run].name.as_str()) == best
        };
        let pairs = |cell: &&Cell| -> Option<(String, Pairs)> {
            Some((self.bench.study.runs[cell.run].name.clone(), self.bench.pairs(cell)?))
        };
        let all: Vec<(String, Pairs)> = shown.iter().filter(is_shown).filter_map(pairs).collect();
        if all.is_empty() {
            return Vec::new();
        }
        let name = &self.bench.study.students[student].name;
        let parity = |title: &str, unit: &str, of: fn(&Pairs) -> &Thinned| Parity {
            title: format!("{name}: {title}"),
            x_label: format!("label in {unit}"),
            y_label: format!("prediction in {unit}"),
            series: all.iter().map(|(run, p)| Curve { name: run.clone(), points: of(p).pairs.clone() }).collect(),
        };
        vec![parity("energies", "eV", |p| &p.energies), parity("force components", "eV/Å", |p| &p.forces)]
    }

    /// The teacher's layers against those of the student after each run.
    fn heat_maps(&self, student: usize, shown: &[&Cell]) -> Option<(String, String)> {
        let found: Vec<_> = shown
            .iter()
            .filter_map(|cell| Some((self.bench.study.runs[cell.run].name.as_str(), self.bench.similarity(cell)?)))
            .collect();
        let map = |(run, similarity): &'_ (&'_ str, Similarity)| {
            svg(&[HeatMap {
                title: run,
                rows_title: "teacher",
                rows: &similarity.taps_a,
                columns: &similarity.taps_b,
                values: &similarity.cka,
            }])
        };
        let maps: String = found.iter().map(map).collect();
        let title =
            format!("{}: layers (columns) against the teacher's (rows)", self.bench.study.students[student].name);
        (!found.is_empty()).then_some((title, maps))
    }
}
