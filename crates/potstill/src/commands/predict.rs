//! `potstill predict`

use std::collections::BTreeSet;
use std::ops::Range;

use std::path::PathBuf;

use anyhow::Result;
use potstill_core::Precision;
use potstill_core::system::Column;
use potstill_core::{Prediction, System};
use potstill_data::evaluation::{ATOMS_PER_BATCH, evaluate_each};
use potstill_data::io::keys::{ENERGY_KEYS, FORCES_KEYS};
use potstill_data::io::{Kind, LabelKeys, Output, write};

use super::{print_json, tell_left_out};
use crate::Outcome;
use crate::args::{EngineArgs, ExistingArgs, KeyArgs};
use crate::limits::precision;
use crate::progress::Progress;
use crate::{load, potential};

/// Arguments of `potstill predict`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// File of systems.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// File to write (extended XYZ or npz).
    ///
    /// Extended XYZ is compressed when the name ends in .gz, .xz or .zst.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print counts as JSON.
    #[arg(long)]
    pub json: bool,
    /// Precision of the network.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// How the network is run.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// Replaces labels by what the model says, and adds atomic energies.
pub fn run(args: &Args) -> Result<Outcome> {
    let inputs = [args.model.clone(), args.input.clone()];
    let policy = Output { overwrite: args.existing.policy(), inputs: &inputs };
    policy.check(&args.output, Kind::of_systems(&args.output)?)?;
    let chosen = potential::open(&args.model, &args.engine, args.dtype)?;
    let systems = load::open(std::slice::from_ref(&args.input), &LabelKeys::from(&args.keys), None, None)?;
    say!("{}", chosen.describe());
    let progress = Progress::new("predicting", systems.len() as u64);
    let mut writer = write(&args.output)?;
    let (mut n_done, mut n_atoms) = (0, 0);
    let mut dropped = BTreeSet::new();
    evaluate_each(chosen.potential.as_ref(), &systems, ATOMS_PER_BATCH, &mut |members, prediction| {
        let mut first = 0;
        for (i, system) in members.iter().enumerate() {
            let atoms = first..first + system.n_atoms();
            first = atoms.end;
            writer.write(&with_labels(system.clone().into_owned(), i, atoms, prediction, &mut dropped))?;
        }
        n_atoms += first;
        n_done += members.len();
        progress.set(n_done as u64);
        Ok(())
    })?;
    progress.finish();
    let left_out = writer.finish()?;
    if !dropped.is_empty() {
        let names = dropped.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        say!("{}: left out, as other labels of the input: {names}", args.output.display());
    }
    tell_left_out(&args.output, &left_out);
    say!("{}: {} systems", args.output.display(), systems.len());
    if args.json {
        let left_out: Vec<&String> = dropped.iter().chain(&left_out).collect();
        print_json(&serde_json::json!({
            "output": args.output, "n_systems": systems.len(), "n_atoms": n_atoms, "engine": chosen.name(),
            "left_out": left_out,
        }))?;
    }
    Ok(Outcome::Done)
}

/// The system with what the model says of it: number `i` of a batch, whose atoms are `atoms`.
fn with_labels(
    mut system: System,
    i: usize,
    atoms: Range<usize>,
    prediction: &Prediction,
    dropped: &mut BTreeSet<String>,
) -> System {
    system.energy = Some(prediction.energy[i]);
    system.forces = Some(prediction.forces[atoms.clone()].to_vec());
    system.stress = prediction.stress(i, &system);
    // Labels of the input under other names would read as predictions of this model.
    let mut keeps = |name: &String, known: &[&str]| {
        let keeps = !known.contains(&name.as_str());
        if !keeps {
            dropped.insert(name.clone());
        }
        keeps
    };
    system.metadata.retain(|key, _| keeps(key, ENERGY_KEYS));
    system.columns.retain(|name, _| keeps(name, FORCES_KEYS));
    let atomic_energies = Column::real(prediction.atomic_energies[atoms].to_vec());
    system.columns.insert("atomic_energies".to_owned(), atomic_energies);
    system
}
