//! `potstill info`

use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::DType;
use potstill_nn::{Model, parameters};

use super::{print, print_json};
use crate::{Outcome, device};

/// Arguments of `potstill info`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file.
    pub model: PathBuf,
    /// Print the header as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Describes a model file.
pub fn run(args: &Args) -> Result<Outcome> {
    let model = Model::load(&args.model, &device::cpu(), DType::F32)?;
    let header = model.header();
    if args.json {
        print_json(header)?;
        return Ok(Outcome::Done);
    }
    let n: usize = parameters::describe(model.network()).iter().map(|p| p.len()).sum();
    let taps: Vec<String> = header.model.taps().iter().map(ToString::to_string).collect();
    let references = serde_json::to_string(&header.scale.reference_energies)?;
    let lines = [
        format!("architecture        {}", header.model.name()),
        format!("parameters          {n}"),
        format!("settings            {}", serde_json::to_string(&header.model)?),
        format!("elements            {}", header.elements.join(" ")),
        format!("forces              {}", if model.is_conservative() { "gradient of the energy" } else { "direct" }),
        format!("taps                {}", taps.join(" ")),
        format!("reference energies  {references} eV"),
        format!("normaliser          {}", serde_json::to_string(&header.scale.normalizer)?),
        format!("training            {}", header.training),
        format!("hash                {}", model.hash()),
    ];
    print(&lines.join("\n"))?;
    Ok(Outcome::Done)
}
