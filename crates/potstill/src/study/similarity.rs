//! How alike the features of teacher and students are, with and without distillation.

use anyhow::Result;
use burn::tensor::{DType, Device};
use potstill_core::System;
use potstill_core::files::write_atomically;
use potstill_nn::Model;
use potstill_train::similarity::{Similarity, similarity};
use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::plan::Cell;
use crate::progress::Progress;

/// Test systems that are looked at.
const SYSTEMS: usize = 100;

/// What `similarity.json` keeps.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
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
        let progress = Progress::new("comparing features with the teacher's", open.len() as u64);
        for (k, cell) in open.into_iter().enumerate() {
            let folder = self.folder(cell);
            let model = Model::load(&folder.join("model.safetensors"), &Device::flex(), DType::F32)?;
            let similarity = similarity(self.teacher, &model, &systems, &|_| {})?;
            let kept = Kept { fingerprint: self.fingerprint(cell), similarity };
            write_atomically(&folder.join("similarity.json"), |writer| Ok(serde_json::to_writer(writer, &kept)?))?;
            progress.set(k as u64 + 1);
        }
        progress.finish();
        Ok(())
    }

    /// What was found for a cell, if anything was.
    pub fn similarity(&self, cell: &Cell) -> Option<Similarity> {
        let text = std::fs::read_to_string(self.folder(cell).join("similarity.json")).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        (kept.fingerprint == self.fingerprint(cell)).then_some(kept.similarity)
    }
}
