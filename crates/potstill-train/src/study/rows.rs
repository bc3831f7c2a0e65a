//! Lines of the table from the results of cells.

use potstill_core::Result;
use potstill_core::metrics::Metrics;
use potstill_core::model::ModelFile;
use potstill_data::dataset::Baseline;

use super::bench::Bench;
use super::plan::Cell;
use super::result::CellResult;
use super::table::{Mean, Row};
use crate::evaluation::{Evaluation, gap_closed, n_parameters};

/// Mean of one value.
fn single(value: Option<f64>) -> Option<Mean> {
    value.and_then(|v| Mean::of(&[v]))
}

impl Bench<'_> {
    /// The teacher, then every student with every run, then the constant predictors.
    ///
    /// # Errors
    /// Results that cannot be read.
    pub fn rows(&self, cells: &[Cell], judged: &Evaluation) -> Result<Vec<Row>> {
        let mut rows = vec![Row {
            student: "teacher".to_owned(),
            run: self.teacher.header().model.name().to_owned(),
            factor: None,
            n_seeds: 1,
            energy_mae: single(judged.metrics.energy_mae),
            forces_mae: single(judged.metrics.forces_mae),
            forces_cos: single(judged.metrics.forces_cos),
            efwt: single(judged.metrics.efwt),
            energy_gap_closed: None,
            forces_gap_closed: None,
            n_parameters: n_parameters(self.teacher),
            systems_per_second: single(Some(judged.systems_per_second)),
            seconds: None,
        }];
        for s in 0..self.study.students.len() {
            for r in 0..self.study.runs.len() {
                let group: Vec<&Cell> = cells.iter().filter(|c| c.student == s && c.run == r).collect();
                if !group.is_empty() {
                    rows.push(self.row(cells, &group, judged)?);
                }
            }
        }
        rows.extend(self.constants(cells)?);
        Ok(rows)
    }

    /// Errors of the constant predictor with the reference energies of a cell's model, which any model must beat; none before
    /// the cell is done.
    ///
    /// # Errors
    /// A model or systems that cannot be read.
    pub fn constant(&self, cell: &Cell) -> Result<Option<Metrics>> {
        let path = self.model(cell);
        if !path.exists() {
            return Ok(None);
        }
        let references = ModelFile::read(&path)?.header().scale.reference_energies.clone();
        Baseline::new(references).metrics(&self.test).map(Some)
    }

    /// The constant predictor of each student; students with the same one have one line.
    fn constants(&self, cells: &[Cell]) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        for (s, student) in self.study.students.iter().enumerate() {
            let Some(cell) = cells.iter().find(|cell| cell.student == s) else { continue };
            let Some(metrics) = self.constant(cell)? else { continue };
            let row = Row {
                student: "constant".to_owned(),
                run: student.name.clone(),
                factor: None,
                n_seeds: 1,
                energy_mae: single(metrics.energy_mae),
                forces_mae: single(metrics.forces_mae),
                forces_cos: None,
                efwt: single(metrics.efwt),
                energy_gap_closed: None,
                forces_gap_closed: None,
                n_parameters: 0,
                systems_per_second: None,
                seconds: None,
            };
            if !rows.iter().any(|own| (own.energy_mae, own.forces_mae) == (row.energy_mae, row.forces_mae)) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// Means of one student and run over all seeds.
    fn row(&self, cells: &[Cell], group: &[&Cell], teacher: &Evaluation) -> Result<Row> {
        let results = group.iter().map(|cell| self.result(cell)).collect::<Result<Vec<_>>>()?;
        let done: Vec<(&Cell, CellResult)> =
            group.iter().copied().zip(results).filter_map(|(c, r)| Some((c, r?))).collect();
        let mean = |value: &dyn Fn(&CellResult) -> Option<f64>| {
            Mean::of(&done.iter().filter_map(|(_, result)| value(result)).collect::<Vec<_>>())
        };
        let error = |metric: fn(&Evaluation) -> Option<f64>| mean(&|r| metric(r.evaluation.as_ref()?));
        let gap = |metric: fn(&Evaluation) -> Option<f64>| -> Result<Option<Mean>> {
            let mut closed = Vec::new();
            for (cell, result) in &done {
                let alone = cells
                    .iter()
                    .find(|c| c.student == cell.student && c.seed == cell.seed && Some(c.run) == self.study.baseline());
                let alone = match alone {
                    Some(alone) if alone.run != cell.run => self.result(alone)?,
                    _ => None,
                };
                let numbers = alone.and_then(|a| {
                    Some((metric(&a.evaluation?)?, metric(result.evaluation.as_ref()?)?, metric(teacher)?))
                });
                closed.extend(numbers.and_then(|(alone, own, teacher)| gap_closed(alone, own, teacher)));
            }
            Ok(Mean::of(&closed))
        };
        let first = group[0];
        Ok(Row {
            student: self.study.students[first.student].name.clone(),
            run: self.study.runs[first.run].name.clone(),
            factor: first.factor,
            n_seeds: done.len(),
            energy_mae: error(|e| e.metrics.energy_mae),
            forces_mae: error(|e| e.metrics.forces_mae),
            forces_cos: error(|e| e.metrics.forces_cos),
            efwt: error(|e| e.metrics.efwt),
            energy_gap_closed: gap(|e| e.metrics.energy_mae)?,
            forces_gap_closed: gap(|e| e.metrics.forces_mae)?,
            n_parameters: done.first().map_or(0, |(_, r)| r.n_parameters),
            systems_per_second: error(|e| Some(e.systems_per_second)),
            seconds: mean(&|r| Some(r.seconds)),
        })
    }
}
