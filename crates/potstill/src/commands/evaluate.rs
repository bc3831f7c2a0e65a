//! `potstill evaluate`

use std::path::PathBuf;

use anyhow::Result;
use potstill_core::Precision;
use potstill_data::io::LabelKeys;

use super::{print, print_json};
use crate::Outcome;
use crate::args::{EngineArgs, KeyArgs};
use crate::evaluation::{describe, measure};
use crate::limits::{number, precision};
use crate::{load, potential, world};

/// Arguments of `potstill evaluate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files of labelled systems.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Exit with 1 above this energy MAE, in eV.
    #[arg(long, value_name = "E", value_parser = number(0.0..=1e9))]
    pub max_energy_mae: Option<f64>,
    /// Exit with 1 above this force MAE, in eV/Å.
    #[arg(long, value_name = "F", value_parser = number(0.0..=1e9))]
    pub max_force_mae: Option<f64>,
    /// Report each value of a metadata key, too.
    ///
    /// Such as config_type.
    #[arg(long, value_name = "KEY")]
    pub group_by: Option<String>,
    /// Precision of the network.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// How the network is run.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Measures a model and holds it against the thresholds that were given.
pub fn run(args: &Args) -> Result<Outcome> {
    let chosen = potential::open(&args.model, &args.engine, args.dtype)?;
    let systems = load::open(&args.data, &LabelKeys::from(&args.keys), None, None)?;
    say!("{}", chosen.describe());
    let group_by = args.group_by.as_deref();
    let evaluation = measure(chosen.potential.as_ref(), &systems, group_by, "evaluating")?.with_baseline(
        chosen.header.scale.reference_energies.clone(),
        &systems,
        group_by,
    )?;
    match args.json {
        true => {
            let mut value = serde_json::to_value(&evaluation)?;
            value["engine"] = chosen.name().into();
            print_json(&value)?;
        }
        false => print(&describe(&evaluation))?,
    }
    evaluation.shortfalls().iter().for_each(|shortfall| say!("warning: {shortfall}"));
    let missed = [
        ("energy MAE", evaluation.metrics.energy_mae, args.max_energy_mae, "eV"),
        ("force MAE", evaluation.metrics.forces_mae, args.max_force_mae, "eV/Å"),
    ]
    .into_iter()
    .filter_map(|(name, value, limit, unit)| {
        let limit = limit?;
        match value {
            Some(value) if value <= limit => None,
            Some(value) => Some(format!("{name} {value:.6} {unit} is above {limit} {unit}")),
            None => Some(format!("{name} cannot be judged: the data has no such label")),
        }
    });
    let missed: Vec<String> = missed.collect();
    if world::ranks().leads() {
        missed.iter().for_each(|line| complain!("missed: {line}"));
    }
    Ok(if missed.is_empty() { Outcome::Done } else { Outcome::Missed })
}
