//! Similarity of the features of teacher and students, with and without distillation.

use burn::tensor::DType;
use potstill_core::files::write_atomically;
use potstill_core::{Result, System};
use potstill_nn::Model;
use potstill_nn::device::cpu;
use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::plan::Cell;
use super::result::SIMILARITY;
use crate::similarity::{Similarity, similarity};

/// Number of systems of the first test set that are compared.
const SYSTEMS: usize = 100;

/// Contents of `similarity.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    fingerprint: String,
    similarity: Similarity,
}

impl Bench<'_> {
    /// Compares the teacher with every student of the first seed, unless that is done.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn compare_features(&self, cells: &[Cell]) -> Result<()> {
        let Some(teacher) = self.teacher.network() else { return Ok(()) };
        let first = |cell: &&Cell| cell.seed == self.study.seeds[0];
        let open: Vec<&Cell> = cells.iter().filter(first).filter(|cell| self.similarity(cell).is_none()).collect();
        if open.is_empty() {
            return Ok(());
        }
        let test = &self.tests[0].systems;
        let systems: Vec<System> =
            test.get_all(0..test.len().min(SYSTEMS))?.into_iter().map(|s| s.into_owned()).collect();
        let task = self.host.task("comparing features with the teacher's", open.len());
        for (k, cell) in open.into_iter().enumerate() {
            let model = Model::load(&self.model(cell), &cpu(), DType::F32)?;
            let similarity = similarity(teacher, &model, &systems, &|_| {})?;
            let found = Found { fingerprint: self.fingerprint_of_result(cell), similarity };
            write_atomically(&self.folder(cell).join(SIMILARITY), |writer| Ok(serde_json::to_writer(writer, &found)?))?;
            task.set(k + 1);
        }
        Ok(())
    }

    /// Alignment (CKA) of a cell's last features with the teacher's last, if it was found.
    pub(super) fn alignment(&self, cell: &Cell) -> Option<f64> {
        self.similarity(cell)?.cka.last()?.last().copied()
    }

    /// Similarity of a cell's features to those of the teacher, if it was found.
    pub fn similarity(&self, cell: &Cell) -> Option<Similarity> {
        let text = std::fs::read_to_string(self.folder(cell).join(SIMILARITY)).ok()?;
        let found: Found = serde_json::from_str(&text).ok()?;
        (found.fingerprint == self.fingerprint_of_result(cell)).then_some(found.similarity)
    }
}
