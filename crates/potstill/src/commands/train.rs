//! `potstill train` and `potstill distill`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use potstill_core::dataset::Systems;
use potstill_core::io::{LabelKeys, write_atomically};
use potstill_train::config::{Config, DataConfig};
use potstill_train::distill::Origin;
use potstill_train::journal::{EVENTS, METRICS};
use potstill_train::observer::{Ending, Observer, StepReport, ValidationReport};
use potstill_train::run::{Data, Prelude, train};
use potstill_train::trainer::Summary;

use super::{print, print_json};
use crate::Outcome;
use crate::args::TrainArgs;
use crate::progress::Progress;
use crate::{config_file, load};

/// What a run writes into its folder.
const RUN_FILES: [&str; 6] = ["config.toml", "environment.json", METRICS, EVENTS, "model.safetensors", "checkpoints"];

/// Trains a network, with or without a teacher.
pub fn run(args: &TrainArgs, distill: bool) -> Result<Outcome> {
    let mut config = config_file::read(&args.config, &args.set)?;
    config.seed = args.seed.unwrap_or(config.seed);
    let file = args.config.display();
    match (distill, &config.distill) {
        (true, None) => {
            bail!("{file}: has no [distill] section; add one with `teacher` and `terms`, or use `potstill train`")
        }
        (false, Some(_)) => bail!("{file}: has a [distill] section; use `potstill distill`"),
        _ => {}
    }
    prepare_folder(&args.out, args.resume, args.overwrite)?;
    let data = load_data(&config.data)?;
    save_config(&args.out, &config)?;
    let interrupt = interrupt_flag()?;
    let summary = run_config(&config, data, &args.out, args.resume, &interrupt, "training")?;
    report(&summary, args.json)?;
    Ok(if summary.ending == Ending::Interrupted { Outcome::Interrupted } else { Outcome::Done })
}

/// Runs a configuration with progress on standard error.
pub fn run_config(
    config: &Config,
    data: Data,
    folder: &Path,
    resume: bool,
    interrupt: &AtomicBool,
    name: &str,
) -> Result<Summary> {
    let mut watcher =
        Watcher { name: name.to_owned(), progress: None, resumed_at: 0, resumed_seconds: None, systems: 0 };
    Ok(train(config, data, folder, resume, interrupt, &mut watcher, &tell)?)
}

/// Reads what a configuration names.
pub fn load_data(data: &DataConfig) -> Result<Data> {
    let keys = LabelKeys { energy: data.energy_key.clone(), forces: data.forces_key.clone(), stress: None };
    let train = load::open(&data.train, &keys, data.in_memory, data.max_train_systems)?;
    let validation = match data.validation.is_empty() {
        true => Systems::default(),
        false => load::open(&data.validation, &keys, data.in_memory, None)?,
    };
    let synthetic = match data.synthetic.is_empty() {
        true => Systems::default(),
        false => load::open(&data.synthetic, &keys, data.in_memory, None)?,
    };
    Ok(Data { train, synthetic, validation })
}

fn prepare_folder(folder: &Path, resume: bool, overwrite: bool) -> Result<()> {
    let has_run = RUN_FILES.iter().any(|name| folder.join(name).exists());
    if resume && !folder.join("checkpoints/last.safetensors").exists() {
        bail!("{}: holds no checkpoint to resume; leave out --resume", folder.display());
    }
    let not_empty = holds_something(folder);
    if !resume && overwrite && has_run {
        remove(folder, &RUN_FILES)?;
    } else if !resume && !overwrite && not_empty {
        bail!(
            "{}: is not empty; give --resume to go on, --overwrite to start again, or another --out",
            folder.display()
        );
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot create the folder", folder.display()))
}

/// Removes files and folders of those names, where they are.
pub fn remove(folder: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let path = folder.join(name);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("{}: cannot remove", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a folder holds more than what a run that never made a step leaves behind.
fn holds_something(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_name().to_str() {
        Some("config.toml" | "environment.json" | "teacher-cache") => false,
        Some("checkpoints") => std::fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_some()),
        _ => true,
    })
}

/// Keeps the configuration with every default written out.
pub fn save_config(folder: &Path, config: &Config) -> Result<()> {
    let text = toml::to_string_pretty(config).context("configuration")?;
    Ok(write_atomically(&folder.join("config.toml"), |writer| writer.write_all(text.as_bytes()))?)
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends at once.
pub fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if handler.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("interrupted: saving after this step; press Ctrl-C again to stop at once");
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(flag)
}

fn report(summary: &Summary, json: bool) -> Result<()> {
    if json {
        return print_json(&serde_json::json!({
            "ending": summary.ending, "steps": summary.steps, "seconds": summary.seconds, "model": summary.model,
        }));
    }
    let how = match summary.ending {
        Ending::Finished => "finished",
        Ending::OutOfTime => "out of the time that was given",
        Ending::NoProgress => "no better validation within the patience that was given",
        Ending::Interrupted => return print("interrupted; go on with --resume"),
    };
    print(&format!("{how}: {} steps in {:.0} s; {}", summary.steps, summary.seconds, summary.model.display()))
}

fn tell(event: Prelude) {
    match event {
        Prelude::References(energies, underdetermined) => {
            let list: Vec<String> = energies.iter().map(|(e, v)| format!("{e} {v:.4}")).collect();
            let note = if underdetermined { " (compositions leave a choice; totals are right)" } else { "" };
            eprintln!("reference energies in eV: {}{note}", list.join(", "));
        }
        Prelude::IsolatedAtoms(n) => eprintln!("{n} isolated atoms gave reference energies and are not trained on"),
        Prelude::Cache(Origin::Made, bytes) => eprintln!("teacher cache: made, {bytes} bytes"),
        Prelude::Cache(Origin::Reused, bytes) => eprintln!("teacher cache: reused, {bytes} bytes"),
        Prelude::Weights(weights) => {
            let list: Vec<String> = weights.iter().map(|(name, weight)| format!("{name} {weight:.4}")).collect();
            eprintln!("weights of the terms: {}", list.join(", "));
        }
        Prelude::Waiting(what) => eprintln!("waiting for the teacher cache: {what}"),
        Prelude::Note(note) => eprintln!("{note}"),
        Prelude::Verified(bytes, seconds) => eprintln!("teacher cache: {bytes} bytes verified in {seconds:.1} s"),
        Prelude::Labelling(done, total) => eprintln!("asking the teacher: {done}/{total} systems"),
    }
}

/// Shows steps and validations.
struct Watcher {
    name: String,
    progress: Option<Progress>,
    resumed_at: u64,
    resumed_seconds: Option<f64>,
    systems: usize,
}

impl Observer for Watcher {
    fn start(&mut self, total_steps: u64, resumed_at: u64) {
        self.resumed_at = resumed_at;
        self.progress = Some(Progress::new(&self.name, total_steps));
        if resumed_at > 0 {
            eprintln!("resumed after step {resumed_at}");
        }
    }

    fn step(&mut self, report: &StepReport) {
        let start = *self.resumed_seconds.get_or_insert(report.seconds);
        // The first step only starts the clock.
        let rate = if report.seconds > start { self.systems as f64 / (report.seconds - start) } else { 0.0 };
        if report.seconds >= start && report.step > self.resumed_at + 1 || self.systems > 0 {
            self.systems += report.n_systems;
        } else {
            self.systems = 1;
        }
        if let Some(progress) = &self.progress {
            progress.show(report.step, &format!("loss {:.4}  {rate:.0} systems/s", report.loss));
        }
    }

    fn validation(&mut self, report: &ValidationReport) {
        let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{:.2}", v * 1e3));
        let line = format!(
            "epoch {:>4}  step {:>7}  {:>6.0} s  validation: energy MAE {} meV, force MAE {} meV/Å{}",
            report.epoch,
            report.step,
            report.seconds,
            show(report.validation.energy_mae),
            show(report.validation.forces_mae),
            if report.best { "  (best)" } else { "" }
        );
        match &self.progress {
            Some(progress) => progress.say(&line),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
    }
}
