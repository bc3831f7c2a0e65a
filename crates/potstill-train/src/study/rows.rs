//! Lines of the table from the results of cells.

use potstill_core::Result;
use potstill_core::metrics::Metrics;
use potstill_core::model::ModelFile;
use potstill_data::dataset::Baseline;

use super::bench::Bench;
use super::judge::Judged;
use super::plan::{Cell, Choice};
use super::result::CellResult;
use super::table::{Mean, Row};
use crate::evaluation::gap_closed;

/// Mean of one value.
fn single(value: Option<f64>) -> Option<Mean> {
    value.and_then(|v| Mean::of(&[v]))
}

/// A number of a measured student.
type Metric = fn(&Metrics) -> Option<f64>;

impl Bench<'_> {
    /// For each test set: the teacher, then every student with every run, then the constant predictors.
    ///
    /// # Errors
    /// Results that cannot be read.
    pub fn rows(&self, cells: &[Cell]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for set in 0..self.tests.len() {
            rows.push(self.teacher_row(set));
            for s in 0..self.study.students.len() {
                for r in 0..self.study.runs.len() {
                    let group: Vec<&Cell> = cells.iter().filter(|c| c.student == s && c.run == r).collect();
                    if !group.is_empty() {
                        rows.push(self.row(set, cells, &group)?);
                    }
                }
            }
            rows.extend(self.constants(set, cells)?);
        }
        Ok(rows)
    }

    fn teacher_row(&self, set: usize) -> Row {
        let judged = &self.answers[set].evaluation;
        Row {
            test: self.tests[set].name.clone(),
            student: "teacher".to_owned(),
            run: self.teacher.name(),
            n_seeds: 1,
            n_parameters: self.teacher.n_parameters(),
            systems_per_second: single(Some(judged.systems_per_second)),
            ..of_metrics(&judged.metrics)
        }
    }

    /// Errors of the constant predictor with the reference energies of a cell's model, which any model must beat; none before
    /// the cell is done.
    ///
    /// # Errors
    /// A model or systems that cannot be read.
    pub fn constant(&self, set: usize, cell: &Cell) -> Result<Option<Metrics>> {
        let path = self.model(cell);
        if !path.exists() {
            return Ok(None);
        }
        let references = ModelFile::read(&path)?.header().scale.reference_energies.clone();
        Baseline::new(references).metrics(&self.tests[set].systems).map(Some)
    }

    /// The constant predictor of each student; students with the same one have one line.
    fn constants(&self, set: usize, cells: &[Cell]) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        for (s, student) in self.study.students.iter().enumerate() {
            let Some(cell) = cells.iter().find(|cell| cell.student == s) else { continue };
            let Some(metrics) = self.constant(set, cell)? else { continue };
            let row = Row {
                test: self.tests[set].name.clone(),
                student: "constant".to_owned(),
                run: student.name.clone(),
                n_seeds: 1,
                // All forces are zero: a cosine says nothing.
                forces_cos: None,
                ..of_metrics(&metrics)
            };
            if !rows.iter().any(|own| (own.energy_mae, own.forces_mae) == (row.energy_mae, row.forces_mae)) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// Means of one student and run over all seeds.
    fn row(&self, set: usize, cells: &[Cell], group: &[&Cell]) -> Result<Row> {
        let results = group.iter().map(|cell| self.result(cell)).collect::<Result<Vec<_>>>()?;
        let done: Vec<(&Cell, CellResult)> =
            group.iter().copied().zip(results).filter_map(|(c, r)| Some((c, r?))).collect();
        let alone = done.iter().map(|(cell, _)| self.alone(cells, cell)).collect::<Result<Vec<_>>>()?;
        let mean = |value: &dyn Fn(&Judged) -> Option<f64>| {
            Mean::of(&done.iter().filter_map(|(_, r)| value(r.judged.get(set)?)).collect::<Vec<_>>())
        };
        let error = |metric: Metric| mean(&|judged| metric(&judged.evaluation.metrics));
        let against = |metric: Metric| mean(&|judged| metric(&judged.against_teacher));
        let gap = |metric: Metric| {
            let of = |result: &CellResult| metric(&result.judged.get(set)?.evaluation.metrics);
            let teacher = metric(&self.answers[set].evaluation.metrics);
            let closed = done
                .iter()
                .zip(&alone)
                .filter_map(|((_, own), alone)| gap_closed(of(alone.as_ref()?)?, of(own)?, teacher?));
            Mean::of(&closed.collect::<Vec<_>>())
        };
        let first = group[0];
        Ok(Row {
            test: self.tests[set].name.clone(),
            student: self.study.students[first.student].name.clone(),
            run: self.study.runs[first.run].name.clone(),
            factor: first.choice.as_ref().and_then(Choice::factor),
            settings: first.choice.as_ref().map_or_else(Vec::new, |choice| choice.settings().to_vec()),
            n_seeds: done.len(),
            energy_mae: error(|m| m.energy_mae),
            energy_rmse: error(|m| m.energy_rmse),
            forces_mae: error(|m| m.forces_mae),
            forces_rmse: error(|m| m.forces_rmse),
            forces_cos: error(|m| m.forces_cos),
            efwt: error(|m| m.efwt),
            energy_mae_against_teacher: against(|m| m.energy_mae),
            forces_mae_against_teacher: against(|m| m.forces_mae),
            energy_gap_closed: gap(|m| m.energy_mae),
            forces_gap_closed: gap(|m| m.forces_mae),
            alignment: group.iter().find_map(|cell| self.alignment(cell)),
            n_parameters: done.first().map_or(0, |(_, r)| r.n_parameters),
            systems_per_second: mean(&|judged| Some(judged.evaluation.systems_per_second)),
            seconds: Mean::of(&done.iter().map(|(_, r)| r.seconds).collect::<Vec<_>>()),
        })
    }

    /// Result of the same student and seed alone, for a cell that is not that itself.
    fn alone(&self, cells: &[Cell], cell: &Cell) -> Result<Option<CellResult>> {
        let baseline = self.study.baseline();
        let same = |c: &&Cell| c.student == cell.student && c.seed == cell.seed && Some(c.run) == baseline;
        match cells.iter().find(same) {
            Some(alone) if alone.run != cell.run => self.result(alone),
            _ => Ok(None),
        }
    }
}

/// Errors of one measurement.
fn of_metrics(metrics: &Metrics) -> Row {
    Row {
        energy_mae: single(metrics.energy_mae),
        energy_rmse: single(metrics.energy_rmse),
        forces_mae: single(metrics.forces_mae),
        forces_rmse: single(metrics.forces_rmse),
        forces_cos: single(metrics.forces_cos),
        efwt: single(metrics.efwt),
        ..Row::default()
    }
}
