//! `potstill export`

use anyhow::Result;
use burn::tensor::{DType, Device};
use potstill_data::io::{Kind, Output};
use potstill_nn::Model;
use potstill_nn::import::export;

use super::{print, print_json};
use crate::Outcome;
use crate::args::ExportArgs;

/// Writes a state dict under the names of the Open Catalyst Project.
pub fn run(args: &ExportArgs) -> Result<Outcome> {
    let inputs = [args.model.clone()];
    let policy = Output { overwrite: args.existing.policy(), inputs: &inputs };
    let files = [Some(args.output.as_path()), args.scale_factors.as_deref()];
    policy.check_all(files.into_iter().flatten().map(|file| (file, Kind::Weights)))?;
    let model = Model::load(&args.model, &Device::flex(), DType::F32)?;
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
