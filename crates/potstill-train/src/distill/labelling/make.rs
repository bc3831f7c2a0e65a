//! Asking a teacher about a dataset and writing its answers, one shard at a time.

use std::path::Path;

use potstill_core::files::write_atomically;
use potstill_core::model::write_tensors;
use potstill_core::{Error, Result};
use potstill_data::evaluation::ATOMS_PER_BATCH;
use rayon::prelude::*;

use crate::distill::answer::Answer;
use crate::distill::cache::{INDEX, Index, KEY, Origin, Shard, ShardIdentity, pack};
use crate::distill::questions::Questions;
use crate::distill::teacher::Answering;

/// Writes the shards that are not there yet, then the index. `done` hears of each number of finished systems. The folder is
/// locked by the caller.
pub(super) fn make(
    folder: &Path,
    answering: &Answering<'_>,
    questions: &Questions,
    index: &Index,
    done: &dyn Fn(usize),
) -> Result<()> {
    // An index that no longer tells the truth would outlive a killed run.
    let index_path = folder.join(INDEX);
    if index_path.exists() {
        std::fs::remove_file(&index_path).map_err(|e| Error::io(&index_path, "cannot replace", e))?;
    }
    remove_leftovers(folder);
    let plan = serde_json::to_string(index).map_err(|e| Error::file(&index_path, e.to_string()))?;
    let plan = blake3::hash(plan.as_bytes()).to_hex().to_string();
    let mut first = 0;
    for (k, shard) in index.shards.iter().enumerate() {
        if !is_finished(folder, index, k, &plan) {
            let batches = answering.batches(first..first + shard.n_systems, ATOMS_PER_BATCH).into_par_iter();
            let answer = |part| answering.answer(part, &questions.features, questions.probes.as_ref());
            let answers: Vec<Answer> = batches.map(answer).collect::<Result<_>>()?;
            write_shard(&folder.join(&shard.file), index, k, &plan, &answers)?;
        }
        first += shard.n_systems;
        done(first);
    }
    write_atomically(&index_path, |writer| Ok(serde_json::to_writer_pretty(writer, index)?))
}

fn write_shard(path: &Path, index: &Index, k: usize, plan: &str, answers: &[Answer]) -> Result<()> {
    let tensors = pack(answers, index)?;
    let identity = ShardIdentity::new(index, k, plan);
    let identity = serde_json::to_string(&identity).map_err(|e| Error::file(path, e.to_string()))?;
    write_tensors(path, KEY, &identity, &tensors)
}

/// Whether an earlier, killed run of the same plan finished this shard.
fn is_finished(folder: &Path, index: &Index, k: usize, plan: &str) -> bool {
    let found = Shard::open(folder, index, k, index.shards[k].n_atoms);
    found.is_ok_and(|shard| matches!(&shard.origin, Origin::Known(own) if own.plan == plan))
}

/// Removes the temporary files of killed runs; nobody else writes here, as the folder is locked.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(".potstill-") && name.ends_with(".tmp")) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
