//! `potstill study`: a grid of trainings, resumable, and one table.

use std::collections::BTreeMap;

use anyhow::Result;
use potstill_core::files::FolderLock;
use potstill_train::study::{Bench, Layout, Place, StudyTeacher, markdown};

use super::{print, print_json};
use crate::Outcome;
use crate::args::StudyArgs;
use crate::interrupt::interrupt_flag;
use crate::study::{self, Checks, Terminal, configure};

/// Runs what is not done yet, trials of weights first, then writes `table.md`, `table.csv`, `summary.json` and
/// `report.html`.
pub fn run(args: &StudyArgs) -> Result<Outcome> {
    let study = study::read(&args.config)?;
    let _lock = FolderLock::acquire(&args.out, "a study")?;
    let teacher = StudyTeacher::open(&study.teacher)?;
    let trials = study.trials(&configure)?;
    let interrupt = interrupt_flag()?;
    let untuned = study.cells(&configure, &|_, _| None)?;
    let place = Place { out: args.out.clone(), jobs: args.jobs, layout: Layout::Grid };
    let host = Terminal { checks: Checks::All };
    let bench = Bench::new(&study, &place, &teacher, &untuned, (&host, &interrupt))?;
    bench.make_caches(&untuned)?;
    bench.run_all(&trials)?;
    let mut chosen = BTreeMap::new();
    for trial in &trials {
        if let Some(choice) = bench.chosen(&trials, trial.student, trial.run)? {
            chosen.insert((trial.student, trial.run), choice);
        }
    }
    let cells = study.cells(&configure, &|s, r| chosen.get(&(s, r)).cloned())?;
    if !bench.is_interrupted() {
        bench.run_all(&cells)?;
    }
    if bench.is_interrupted() {
        say!("interrupted; the same command goes on");
        return Ok(Outcome::Interrupted);
    }
    bench.compare_features(&cells)?;
    let rows = bench.rows(&cells)?;
    study::write(&bench, &cells, &rows)?;
    match args.json {
        true => print_json(&rows)?,
        false => print(markdown(&rows).trim_end())?,
    }
    Ok(Outcome::Done)
}
