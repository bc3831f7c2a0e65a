//! `potstill study`: a grid of trainings, resumable, and one table.

use std::collections::BTreeMap;

use anyhow::Result;
use potstill_core::files::FolderLock;
use potstill_train::study::{Bench, Cell, Layout, Place, Study, StudyTeacher, markdown};

use super::{print, print_json};
use crate::Outcome;
use crate::args::StudyArgs;
use crate::interrupt::interrupt_flag;
use crate::study::{self, Checks, Terminal, configure};

/// Runs what is not done yet, trials of weights first, then writes `table.md`, `table.csv`, `summary.json` and
/// `report.html`.
pub fn run(args: &StudyArgs) -> Result<Outcome> {
    let study = study::read(&args.config)?;
    if args.list {
        return list(&study, args);
    }
    let folder = match args.part {
        Some(part) => args.out.join(format!("part-{}", part.to_string().replace('/', "-of-"))),
        None => args.out.clone(),
    };
    let _lock = FolderLock::acquire(&folder, "a study")?;
    let teacher = StudyTeacher::open(&study.teacher)?;
    let trials = study.trials(&configure)?;
    let interrupt = interrupt_flag()?;
    let untuned = study.cells(&configure, &|_, _| None)?;
    let place = Place { out: args.out.clone(), jobs: args.jobs, part: args.part, layout: Layout::Grid };
    let host = Terminal { checks: Checks::All, device: args.device.device.opened()? };
    let bench = Bench::new(&study, &place, &teacher, &untuned, (&host, &interrupt))?;
    bench.make_caches(&untuned)?;
    bench.run_all(&trials)?;
    if args.part.is_some() && !bench.is_interrupted() && !bench.open_cells(&trials)?.is_empty() {
        print("the trials of this part are done; run all parts again when those of the others are")?;
        return Ok(Outcome::Done);
    }
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
    let open = bench.open_cells(&cells)?;
    if args.part.is_some() && !open.is_empty() {
        print(&format!("this part is done; {} of {} trainings belong to parts that are not", open.len(), cells.len()))?;
        return Ok(Outcome::Done);
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

/// Prints every training, and whether it has a result.
fn list(study: &Study, args: &StudyArgs) -> Result<Outcome> {
    let cells = [study.trials(&configure)?, study.cells(&configure, &|_, _| None)?].concat();
    let state = |cell: &Cell| if study.has_result(&args.out, cell) { "done" } else { "open" };
    let states: Vec<(String, &str)> = cells.iter().map(|cell| (study.name(cell), state(cell))).collect();
    if args.json {
        let entry = |(name, state): &(String, &str)| serde_json::json!({ "name": name, "state": state });
        print_json(&states.iter().map(entry).collect::<Vec<_>>())?;
    } else {
        print(&states.iter().map(|(name, state)| format!("{state}  {name}")).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Outcome::Done)
}
