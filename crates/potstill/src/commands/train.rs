//! `potstill train` and `potstill distill`

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use burn::tensor::Device;
use potstill_core::metrics::Metrics;
use potstill_core::model::Header;
use potstill_data::dataset::{Baseline, Shortfall, Visit};
use potstill_train::config::Config;
use potstill_train::folder::{RunFolder, Start};
use potstill_train::observer::{Ending, Weights};
use potstill_train::rounds::{TeacherErrors, Zero};
use potstill_train::run::{Data, Surroundings, train_on};
use potstill_train::trainer::Summary;

use super::{print, print_json};
use crate::Outcome;
use crate::device::DeviceArgs;
use crate::interrupt::interrupt_flag;
use crate::limits::seed;
use crate::load::load_data;
use crate::plain;
use crate::potential::Opened;
use crate::watcher::{Watcher, tell};
use crate::{audit, config_file, world};

/// Arguments of `potstill train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML configuration; paths in it are relative to it.
    pub config: PathBuf,
    /// Everything else.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of every training.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on from the last checkpoint, if there is one.
    ///
    /// Starts where there is none yet: a job script can always give it.
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Start again in a folder that is not empty.
    ///
    /// The old run goes when the new one has made its first step; its cache of teacher targets stays.
    #[arg(long)]
    pub overwrite: bool,
    /// Change a setting, as --set training.epochs=10.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of weights and order.
    ///
    /// In place of that of the configuration.
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Trains a network without a teacher.
pub fn run(args: &Args) -> Result<Outcome> {
    let config = configuration(&args.config, &args.run)?;
    if config.distill.is_some() {
        bail!("{}: has a [distill] section; use `potstill distill`", args.config.display());
    }
    run_once(&config, &args.run, None)
}

/// Reads a configuration, with the settings and the seed of the command line.
pub fn configuration(path: &Path, args: &RunArgs) -> Result<Config> {
    let mut config = config_file::read(path, &args.set)?;
    config.seed = args.seed.unwrap_or(config.seed);
    Ok(config)
}

/// Runs a configuration once; `teacher` is one that can be measured on the validation systems.
pub fn run_once(config: &Config, args: &RunArgs, teacher: Option<&Opened>) -> Result<Outcome> {
    let start = match (args.resume, args.overwrite) {
        (true, _) => Start::Resume,
        (false, true) => Start::Replace,
        (false, false) => Start::New,
    };
    let device = args.device.device.opened()?;
    let folder = RunFolder::open_among(world::ranks(), &args.out, start)?;
    let data = load_data(&config.data)?;
    // Rank 0 goes through the data for all.
    world::ranks().told(|| audit::before_training(&config.data, &data).map_err(plain))?;
    let interrupt = interrupt_flag()?;
    let errors = match teacher {
        Some(teacher) if !data.validation.is_empty() && world::ranks().leads() => measured(config, teacher, &data)?,
        _ => None,
    };
    let summary = run_config(&device, config, data, &folder, &interrupt, "training")?;
    // The model is that of rank 0, which may still write it.
    if folder.writes() {
        report(&summary, args.json)?;
        if let (Some(errors), true) = (errors, summary.ending != Ending::Interrupted) {
            compare(&errors, &summary)?;
        }
    }
    Ok(if summary.ending == Ending::Interrupted { Outcome::Interrupted } else { Outcome::Done })
}

/// Errors of a teacher on the validation systems, said, with a warning where a constant predictor is better; none where the systems
/// have no energies.
fn measured(config: &Config, teacher: &Opened, data: &Data) -> Result<Option<TeacherErrors>> {
    let mut has_energies = false;
    data.validation.visit(&mut |_, system| {
        has_energies |= system.energy.is_some() && system.n_atoms() > 1;
        Ok(())
    })?;
    if !has_energies {
        return Ok(None);
    }
    let measured = Zero::measure(teacher.potential.as_ref(), &data.validation);
    let errors = measured.map_err(|error| teacher.named(error))?.errors;
    let baseline =
        Baseline::new(config.data.reference_energies.fit(&data.train)?.energies).metrics(&data.validation)?;
    let pair = |own: Option<f64>, constant: Option<f64>, unit: &str| {
        let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{:.2}", 1e3 * v));
        format!("{} {unit} (a constant predictor: {})", show(own), show(constant))
    };
    say!(
        "teacher on {} validation systems, after constants for the elements: energy MAE {}, force MAE {}",
        errors.n_systems,
        pair(errors.energy_mae, baseline.energy_mae, "meV"),
        pair(errors.forces_mae, baseline.forces_mae, "meV/Å"),
    );
    if let (Some(own), Some(constant)) = (errors.forces_mae, baseline.forces_mae)
        && own >= constant
    {
        say!("warning: the teacher's forces are no better than a constant predictor's; look at its elements and units");
    }
    Ok(Some(errors))
}

/// Says when a student is no worse than its teacher.
fn compare(teacher: &TeacherErrors, summary: &Summary) -> Result<()> {
    let student = Shipped::of(&summary.model)?.validation.and_then(|validation| validation.forces_mae);
    if let (Some(student), Some(teacher)) = (student, teacher.forces_mae)
        && student <= teacher
    {
        say!(
            "warning: the teacher is no better than its student: force MAE {:.2} and {:.2} meV/Å on validation systems; a better teacher, or \
             labels alone, would help more",
            1e3 * teacher,
            1e3 * student
        );
    }
    Ok(())
}

/// Runs a configuration with progress on standard error.
fn run_config(
    device: &Device,
    config: &Config,
    data: Data,
    folder: &RunFolder,
    interrupt: &AtomicBool,
    name: &str,
) -> Result<Summary> {
    let mut watcher = Watcher::new(name);
    let surroundings = Surroundings { device, ranks: world::ranks(), folder, interrupt, tell: &tell };
    Ok(train_on(surroundings, config, data, &mut watcher)?)
}

fn report(summary: &Summary, json: bool) -> Result<()> {
    if summary.ending == Ending::Interrupted {
        return match json {
            true => print_json(&brief(summary)),
            false => print("interrupted; go on with --resume"),
        };
    }
    let shipped = Shipped::of(&summary.model)?;
    if let (Some(validation), Some(baseline)) = (&shipped.validation, &summary.baseline) {
        for shortfall in Shortfall::of(validation, baseline) {
            say!(
                "warning: the model has learnt nothing that helps: validation {shortfall}; train longer, or look at the data"
            );
        }
    }
    if json {
        let mut result = brief(summary);
        result["weights"] = serde_json::json!(shipped.weights);
        result["validation"] = serde_json::json!(shipped.validation);
        result["baseline"] = serde_json::json!(summary.baseline);
        return print_json(&result);
    }
    let how = match summary.ending {
        Ending::Finished => "finished",
        Ending::OutOfTime => "out of the time that was given",
        Ending::NoProgress => "no better validation within the patience that was given",
        Ending::Interrupted => "interrupted",
    };
    print(&format!("{how}: {} steps in {:.0} s; {}", summary.steps, summary.seconds, summary.model.display()))?;
    print(&shipped.describe(summary.baseline.as_ref()))
}

fn brief(summary: &Summary) -> serde_json::Value {
    serde_json::json!({
        "ending": summary.ending, "steps": summary.steps, "seconds": summary.seconds, "model": summary.model,
    })
}

/// Weights that a model file holds, as its header tells.
struct Shipped {
    step: u64,
    weights: Option<Weights>,
    validation: Option<Metrics>,
}

impl Shipped {
    fn of(model: &Path) -> Result<Self> {
        let training = Header::read(model)?.training;
        Ok(Self {
            step: training["step"].as_u64().unwrap_or(0),
            weights: serde_json::from_value(training["weights"].clone()).ok(),
            validation: serde_json::from_value(training["validation"].clone()).ok(),
        })
    }

    /// Describes the shipped weights and their errors beside those of a constant predictor, in one line.
    fn describe(&self, baseline: Option<&Metrics>) -> String {
        let weights = match self.weights {
            Some(Weights::Averaged) => "averaged weights",
            Some(Weights::Raw) => "raw weights",
            None => "weights",
        };
        let Some(validation) = &self.validation else {
            return format!(
                "model: {weights} of step {}, the last ones: there are no validation systems, so nothing judged them; name \
                 some in data.validation",
                self.step
            );
        };
        let pair = |model: Option<f64>, constant: Option<f64>, unit: &str| {
            let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{:.2}", 1e3 * v));
            format!("{} {unit} (a constant predictor: {})", show(model), show(constant))
        };
        format!(
            "model: {weights} of step {}, the best on the validation systems: energy MAE {}, force MAE {}",
            self.step,
            pair(validation.energy_mae, baseline.and_then(|b| b.energy_mae), "meV"),
            pair(validation.forces_mae, baseline.and_then(|b| b.forces_mae), "meV/Å"),
        )
    }
}
