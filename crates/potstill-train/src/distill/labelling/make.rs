//! Asking a teacher about a dataset and writing its answers, one shard at a time.

use std::path::Path;

use potstill_core::files::write_atomically;
use potstill_core::model::write_tensors;
use potstill_core::{Error, Part, Result};
use potstill_data::evaluation::ATOMS_PER_BATCH;
use rayon::prelude::*;

use crate::distill::answer::Answer;
use crate::distill::cache::{Contents, INDEX, Index, KEY, Origin, Shard, ShardIdentity, pack};
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
    let plan = plan_hash(index, &index_path)?;
    let mut first = 0;
    for (k, shard) in index.shards.iter().enumerate() {
        if !is_finished(folder, index, k, &plan) {
            make_shard(folder, answering, questions, (index, k, &plan), first)?;
        }
        first += shard.n_systems;
        done(first);
    }
    write_atomically(&index_path, |writer| Ok(serde_json::to_writer_pretty(writer, index)?))
}

/// Writes the shards of one part that are not there yet, and the index where all others are; answers whether they are. `done` hears of
/// each number of finished systems of the part. Nothing is locked: what is written is whole, and the same whoever writes it.
pub(super) fn make_shards_of(
    folder: &Path,
    part: Part,
    answering: &Answering<'_>,
    questions: &Questions,
    index: &Index,
    done: &dyn Fn(usize),
) -> Result<bool> {
    let index_path = folder.join(INDEX);
    let plan = plan_hash(index, &index_path)?;
    let (mut first, mut n_done) = (0, 0);
    for (k, shard) in index.shards.iter().enumerate() {
        if part.holds(k) {
            if !is_finished(folder, index, k, &plan) {
                make_shard(folder, answering, questions, (index, k, &plan), first)?;
            }
            n_done += shard.n_systems;
            done(n_done);
        }
        first += shard.n_systems;
    }
    let is_whole = (0..index.shards.len()).all(|k| is_finished(folder, index, k, &plan));
    if is_whole {
        write_atomically(&index_path, |writer| Ok(serde_json::to_writer_pretty(writer, index)?))?;
    }
    Ok(is_whole)
}

/// Hash of everything that is asked, which shards hold.
fn plan_hash(index: &Index, path: &Path) -> Result<String> {
    let plan = serde_json::to_string(index).map_err(|e| Error::file(path, e.to_string()))?;
    Ok(blake3::hash(plan.as_bytes()).to_hex().to_string())
}

/// Asks about the systems of one shard, of which the first one's number is `first`, and writes it.
fn make_shard(
    folder: &Path,
    answering: &Answering<'_>,
    questions: &Questions,
    (index, k, plan): (&Index, usize, &str),
    first: usize,
) -> Result<()> {
    let shard = &index.shards[k];
    let batches = answering.batches(first..first + shard.n_systems, ATOMS_PER_BATCH).into_par_iter();
    let answer = |part| answering.answer(part, &questions.features, questions.probes.as_ref());
    let answers: Vec<Answer> = batches.map(answer).collect::<Result<_>>()?;
    write_shard(&folder.join(&shard.file), index, k, plan, &answers)
}

fn write_shard(path: &Path, index: &Index, k: usize, plan: &str, answers: &[Answer]) -> Result<()> {
    let tensors = pack(answers, index)?;
    let identity = ShardIdentity::new(index, k, plan);
    let identity = serde_json::to_string(&identity).map_err(|e| Error::file(path, e.to_string()))?;
    write_tensors(path, KEY, &identity, &tensors)
}

/// Whether an earlier, killed run of the same plan finished this shard.
fn is_finished(folder: &Path, index: &Index, k: usize, plan: &str) -> bool {
    let found = Shard::open(folder, index, (k, index.shards[k].n_atoms), Contents::Verified);
    found.is_ok_and(|shard| matches!(&shard.origin, Origin::Known(own) if own.plan == plan))
}
