//! `potstill study`: a grid of trainings, resumable, and one table.

use anyhow::Result;
use burn::tensor::{DType, Device};
use potstill_core::Precision;
use potstill_core::files::FolderLock;
use potstill_nn::Model;

use super::train::interrupt_flag;
use super::{print, print_json};
use crate::Outcome;
use crate::args::{EngineArgs, StudyArgs};
use crate::evaluation::measure;
use crate::potential;
use crate::study::bench::Bench;
use crate::study::plan::Study;
use crate::study::table::markdown;

/// Runs what is not done yet, trials of weights first, then writes `table.md`, `table.csv`, `summary.json` and
/// `report.html`.
pub fn run(args: &StudyArgs) -> Result<Outcome> {
    let study = Study::read(&args.config)?;
    let _lock = FolderLock::acquire(&args.out, "a study")?;
    let teacher = Model::load(&study.teacher, &Device::flex(), DType::F32)?;
    let trials = study.trials()?;
    let interrupt = interrupt_flag()?;
    let untuned = study.cells(&|_, _| None)?;
    let bench = Bench::new(&study, args, &teacher, &untuned, &interrupt)?;
    bench.make_caches(&untuned)?;
    bench.run_all(&trials)?;
    let mut chosen = std::collections::BTreeMap::new();
    for trial in &trials {
        let key = (trial.student, trial.run);
        if let Some(factor) = bench.chosen(&trials, trial.student, trial.run)? {
            chosen.insert(key, factor);
        }
    }
    let cells = study.cells(&|s, r| chosen.get(&(s, r)).copied())?;
    if !bench.is_interrupted() {
        bench.run_all(&cells)?;
    }
    if bench.is_interrupted() {
        say!("interrupted; the same command goes on");
        return Ok(Outcome::Interrupted);
    }
    let chosen = potential::open(&study.teacher, &EngineArgs::default(), Precision::F32)?;
    let judged = measure(chosen.potential.as_ref(), &bench.test, None, "evaluating the teacher", &mut |_, _| {})?;
    bench.compare_features(&cells)?;
    let rows = bench.rows(&cells, &judged)?;
    bench.write(&cells, &rows)?;
    match args.json {
        true => print_json(&rows)?,
        false => print(markdown(&rows).trim_end())?,
    }
    Ok(Outcome::Done)
}
