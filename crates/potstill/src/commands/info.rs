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
    #[arg(required_unless_present = "devices", conflicts_with = "devices")]
    pub model: Option<PathBuf>,
    /// List the devices that --device accepts here.
    #[arg(long)]
    pub devices: bool,
    /// Print the header as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Describes a model file, or lists devices.
pub fn run(args: &Args) -> Result<Outcome> {
    let Some(path) = &args.model else { return devices(args.json) };
    let model = Model::load(path, &device::cpu(), DType::F32)?;
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

fn devices(json: bool) -> Result<Outcome> {
    let all = device::list();
    match json {
        true => print_json(
            &all.iter().map(|(name, what)| serde_json::json!({ "device": name, "name": what })).collect::<Vec<_>>(),
        )?,
        false => print(&all.iter().map(|(name, what)| format!("{name:<10}{what}")).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(Outcome::Done)
}
