//! `potstill export`

use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::DType;
use potstill_data::io::{Kind, Output};
use potstill_nn::Model;
use potstill_nn::import::export;

use super::{print, print_json};
use crate::Outcome;
use crate::args::ExistingArgs;
use crate::device;

/// Arguments of `potstill export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Safetensors file to write.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Safetensors file for the scale factors.
    ///
    /// The project keeps them apart. Default: they are not written.
    #[arg(long, value_name = "FILE")]
    pub scale_factors: Option<PathBuf>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Writes a state dict under the names of the Open Catalyst Project.
pub fn run(args: &Args) -> Result<Outcome> {
    let inputs = [args.model.clone()];
    let policy = Output { overwrite: args.existing.policy(), inputs: &inputs };
    let files = [Some(args.output.as_path()), args.scale_factors.as_deref()];
    policy.check_all(files.into_iter().flatten().map(|file| (file, Kind::Weights)))?;
    let model = Model::load(&args.model, &device::cpu(), DType::F32)?;
    let n = export(&model, &args.output, args.scale_factors.as_deref())?;
    if args.json {
        print_json(&serde_json::json!({
            "output": args.output, "scale_factors": args.scale_factors, "n_tensors": n,
            "architecture": model.header().model.name(),
        }))?;
        return Ok(Outcome::Done);
    }
    print(&format!("{}: {n} tensors", args.output.display()))?;
    Ok(Outcome::Done)
}
