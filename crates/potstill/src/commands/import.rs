//! `potstill import`

use anyhow::{Result, anyhow};
use potstill_core::elements::atomic_number;
use potstill_data::io::{Kind, Output};
use potstill_nn::import::{ImportOptions, import};

use super::{print, print_json};
use crate::Outcome;
use crate::args::ImportArgs;

/// Turns a checkpoint of the Open Catalyst Project into a model file.
pub fn run(args: &ImportArgs) -> Result<Outcome> {
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
