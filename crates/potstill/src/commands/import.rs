//! `potstill import`

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use potstill_core::elements::atomic_number;
use potstill_data::io::{Kind, Output};
use potstill_nn::import::{ImportOptions, import};

use super::{print, print_json};
use crate::Outcome;
use crate::args::ExistingArgs;

/// Arguments of `potstill import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Checkpoint (`.pt`).
    ///
    /// As the project's trainers wrote it with `torch.save`.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Model file to write.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// YAML configuration; default: that of the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Scale factors; default: those of the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub scale_factors: Option<PathBuf>,
    /// Take 1 for scale factors that are missing.
    #[arg(long)]
    pub allow_unit_scales: bool,
    /// Take the averaged weights of a training checkpoint.
    ///
    /// A best checkpoint holds them already.
    #[arg(long)]
    pub use_ema: bool,
    /// Elements that the model knows; default: all.
    ///
    /// Those that it was trained on, as symbols. Default: all that it has room for.
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "SYMBOL")]
    pub elements: Vec<String>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the header of the model file as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Turns a checkpoint of the Open Catalyst Project into a model file.
pub fn run(args: &Args) -> Result<Outcome> {
    let inputs = [Some(&args.checkpoint), args.config.as_ref(), args.scale_factors.as_ref()];
    let inputs: Vec<_> = inputs.into_iter().flatten().cloned().collect();
    Output { overwrite: args.existing.policy(), inputs: &inputs }.check(&args.output, Kind::Model)?;
    let element = |name: &String| {
        atomic_number(name).ok_or_else(|| anyhow!("--elements {name}: is not a chemical symbol; write H, C, O, …"))
    };
    let options = ImportOptions {
        config: args.config.clone(),
        scale_factors: args.scale_factors.clone(),
        use_ema: args.use_ema,
        allow_unit_scales: args.allow_unit_scales,
        elements: args.elements.iter().map(element).collect::<Result<_>>()?,
    };
    let imported = import(&args.checkpoint, &options, &args.output)?;
    if args.json {
        print_json(&imported.header)?;
        return Ok(Outcome::Done);
    }
    let normalizer = imported.header.scale.normalizer;
    print(&format!(
        "{}: {}, {} parameters, {} scale factors; energy mean {} eV, standard deviations {} eV and {} eV/Å",
        args.output.display(),
        imported.header.model.name(),
        imported.n_parameters,
        imported.n_scale_factors,
        normalizer.energy_mean,
        normalizer.energy_std,
        normalizer.force_std
    ))?;
    Ok(Outcome::Done)
}
