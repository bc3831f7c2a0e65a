//! Similarity of the features of teacher and students, with and without distillation.

use burn::tensor::{DType, Device};
use potstill_core::files::write_atomically;
use potstill_core::{Result, System};
use potstill_nn::Model;
use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::plan::Cell;
use super::result::SIMILARITY;
use crate::similarity::{Similarity, similarity};

/// Number of test systems that are compared.
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
        let first = |cell: &&Cell| cell.seed == self.study.seeds[0];
        let open: Vec<&Cell> = cells.iter().filter(first).filter(|cell| self.similarity(cell).is_none()).collect();
        if open.is_empty() {
            return Ok(());
        }
        let systems: Vec<System> =
            self.test.get_all(0..self.test.len().min(SYSTEMS))?.into_iter().map(|s| s.into_owned()).collect();
        let task = self.host.task("comparing features with the teacher's", open.len());
        for (k, cell) in open.into_iter().enumerate() {
            let model = Model::load(&self.model(cell), &Device::flex(), DType::F32)?;
            let similarity = similarity(self.teacher, &model, &systems, &|_| {})?;
            let found = Found { fingerprint: self.fingerprint(cell), similarity };
            write_atomically(&self.folder(cell).join(SIMILARITY), |writer| Ok(serde_json::to_writer(writer, &found)?))?;
            task.set(k + 1);
        }
        Ok(())
    }

    /// Similarity of a cell's features to those of the teacher, if it was found.
    pub fn similarity(&self, cell: &Cell) -> Option<Similarity> {
        let text = std::fs::read_to_string(self.folder(cell).join(SIMILARITY)).ok()?;
        let found: Found = serde_json::from_str(&text).ok()?;
        (found.fingerprint == self.fingerprint(cell)).then_some(found.similarity)
    }
}
