//! `potstill fit-scales`

use std::collections::BTreeMap;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use potstill_core::files::write_atomically;
use potstill_core::model::Architecture;
use potstill_data::io::{Kind, Output};
use potstill_train::scales;

use super::{print, print_json};
use crate::Outcome;
use crate::args::ExistingArgs;
use crate::config_file;
use crate::limits::seed;
use crate::load::load_data;

/// Arguments of `potstill fit-scales`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML configuration of the network and its training systems.
    pub config: PathBuf,
    /// TOML file for the factors; default: standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Change a setting, as --set seed=1.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of the weights; default: that of the configuration.
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the factors as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Fits the scale factors of a GemNet-OC to the training systems of a configuration.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut config = config_file::read(&args.config, &args.set)?;
    if let Some(path) = &args.out {
        let data = &config.data;
        let files = data.train.iter().chain(&data.validation).chain(&data.synthetic).chain([&args.config]);
        let inputs: Vec<_> = files.cloned().collect();
        Output { overwrite: args.existing.policy(), inputs: &inputs }.check(path, Kind::ScaleFactors)?;
    }
    config.seed = args.seed.unwrap_or(config.seed);
    let Architecture::GemNetOC(model) = &config.model else {
        let name = config.model.name();
        bail!("{}: model.architecture: {name} has no factors to fit; gemnet_oc has", args.config.display());
    };
    config.data.validation.clear();
    let systems = load_data(&config.data)?.train;
    if systems.is_empty() {
        bail!("data.train: holds no systems");
    }
    let factors = scales::fit(model, config.seed, &systems)?;
    let text = toml::to_string(&Section { model: Model { scale_factors: &factors } }).context("scale factors")?;
    if let Some(path) = &args.out {
        write_atomically(path, |writer| writer.write_all(text.as_bytes()))?;
    }
    match (args.json, &args.out) {
        (true, _) => print_json(&factors)?,
        (false, Some(path)) => print(&format!("{}: {} factors", path.display(), factors.len()))?,
        (false, None) => print(text.trim_end())?,
    }
    Ok(Outcome::Done)
}

/// Scale factors as a configuration holds them.
#[derive(serde::Serialize)]
struct Section<'a> {
    model: Model<'a>,
}

#[derive(serde::Serialize)]
struct Model<'a> {
    scale_factors: &'a BTreeMap<String, f64>,
}
