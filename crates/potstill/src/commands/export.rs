//! `potstill export`

use anyhow::Result;
use burn::tensor::{DType, Device};
use potstill_nn::Model;
use potstill_nn::import::export;

use super::print;
use crate::Outcome;
use crate::args::ExportArgs;

/// Writes a state dict under the names of the Open Catalyst Project.
pub fn run(args: &ExportArgs) -> Result<Outcome> {
    let model = Model::load(&args.model, &Device::flex(), DType::F32)?;
    let n = export(&model, &args.output, args.scale_factors.as_deref())?;
    print(&format!("{}: {n} tensors", args.output.display()))?;
    Ok(Outcome::Done)
}
