//! `potstill relax`: systems brought to a minimum of the energy.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use potstill_core::system::Value;
use potstill_core::units::{from_gigapascal, to_gigapascal};
use potstill_core::{Error, Potential, System};
use potstill_data::dataset::{Systems, Visit};
use potstill_data::evaluation::ATOMS_PER_BATCH;
use potstill_data::io::{Kind, LabelKeys, Output, write};
use potstill_simulate::{CellChange, Optimizer, Relaxation, Relaxed, relax_many};
use rayon::prelude::*;

use super::{print, print_json, tell_left_out};
use crate::Outcome;
use crate::args::ExistingArgs;
use crate::limits::{number, of_option, positive, whole};
use crate::load;
use crate::potential::PotentialArgs;
use crate::progress::Progress;

/// Optimisers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OptimizerKind {
    /// FIRE.
    Fire,
    /// L-BFGS.
    Lbfgs,
}

/// Changes of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CellKind {
    /// The cell stays.
    None,
    /// The volume changes.
    Isotropic,
    /// Volume and shape change.
    Full,
}

/// Arguments of `potstill relax`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What gives the forces.
    #[command(flatten)]
    pub potential: PotentialArgs,
    /// File of systems.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// File for the relaxed systems.
    ///
    /// With energies, forces and, in a cell, stresses.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Largest force on a free atom at the end, in eV/Å.
    #[arg(long, default_value_t = 0.05, value_name = "F", value_parser = positive(1e6))]
    pub fmax: f64,
    /// Most steps of each system.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = whole(0..=1_000_000_000_u64))]
    pub max_steps: u64,
    /// fire or lbfgs.
    #[arg(long, value_enum, value_name = "NAME", default_value = "fire", hide_possible_values = true)]
    pub optimizer: OptimizerKind,
    /// Largest step in Å.
    #[arg(long, default_value_t = 0.2, value_name = "A", value_parser = positive(10.0), hide_short_help = true)]
    pub max_displacement: f64,
    /// Change of the cell: none, isotropic or full.
    ///
    /// isotropic changes the volume, full the shape as well; both need forces that are gradients.
    #[arg(long, value_enum, value_name = "KIND", default_value = "none", hide_possible_values = true)]
    pub cell: CellKind,
    /// Pressure on a cell that changes, in GPa.
    #[arg(long, default_value_t = 0.0, value_name = "GPA", value_parser = number(-1e4..=1e4), allow_negative_numbers = true, hide_short_help = true)]
    pub pressure: f64,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the result of each system as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Settings in eV and Å.
    ///
    /// # Errors
    /// A number that relaxations refuse, by the name of its option.
    fn settings(&self) -> Result<Relaxation> {
        let settings = Relaxation {
            optimizer: match self.optimizer {
                OptimizerKind::Fire => Optimizer::Fire,
                OptimizerKind::Lbfgs => Optimizer::Lbfgs,
            },
            fmax: self.fmax,
            max_steps: self.max_steps,
            max_displacement: self.max_displacement,
            cell: match self.cell {
                CellKind::None => CellChange::None,
                CellKind::Isotropic => CellChange::Isotropic,
                CellKind::Full => CellChange::Full,
            },
            pressure: from_gigapascal(self.pressure),
        };
        settings.check().map_err(of_option)?;
        Ok(settings)
    }
}

/// Relaxes all systems of a file and writes those that did not fail.
pub fn run(args: &Args) -> Result<Outcome> {
    let settings = args.settings()?;
    let inputs: Vec<PathBuf> = [&args.input].into_iter().chain(&args.potential.model).cloned().collect();
    let policy = Output { overwrite: args.existing.policy(), inputs: &inputs };
    policy.check(&args.output, Kind::of_systems(&args.output)?)?;
    let opened = args.potential.open()?;
    let read = load::open(std::slice::from_ref(&args.input), &LabelKeys::default(), Some(true), None)?;
    say!("{}", opened.description);
    let results = relax_all(opened.potential.as_ref(), &read, &settings).map_err(|error| opened.named(error))?;
    let mut writer = write(&args.output)?;
    let (mut failures, mut n_left) = (Vec::new(), 0);
    for result in &results {
        match result {
            Ok(relaxed) => {
                n_left += usize::from(!relaxed.converged);
                writer.write(&labelled(relaxed))?;
            }
            Err(error) => failures.push(error),
        }
    }
    if failures.len() < results.len() {
        tell_left_out(&args.output, &writer.finish()?);
    }
    tell(args, &results, n_left)?;
    if let Some(first) = failures.first() {
        let n = results.len();
        match failures.len() {
            all if all == n => bail!("{first}"),
            some => {
                bail!("{some} of {n} systems failed, the others are in {}; the first: {first}", args.output.display())
            }
        }
    }
    Ok(if n_left == 0 { Outcome::Done } else { Outcome::Missed })
}

/// Relaxes systems on all threads; the results, in their order, do not depend on the number of threads.
fn relax_all(
    potential: &dyn Potential,
    systems: &Systems,
    settings: &Relaxation,
) -> Result<Vec<Result<Relaxed, Error>>> {
    let all = systems.as_slice().context("systems are not in memory")?;
    let progress = Progress::new("relaxing", all.len() as u64);
    let (n_done, last) = (AtomicUsize::new(0), Mutex::new(()));
    let share = all.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let one_share = |(number, share_of): (usize, &[System])| {
        let members: Vec<&System> = share_of.iter().collect();
        let results = relax_many(potential, &members, settings, ATOMS_PER_BATCH, &mut |_| {})?;
        let done = n_done.fetch_add(results.len(), Ordering::Relaxed) + results.len();
        if let Ok(_only) = last.lock() {
            progress.set(done as u64);
        }
        let located = |result: Result<Relaxed, Error>| result.map_err(|e| systems.locate(e.shifted(number * share)));
        Ok(results.into_iter().map(located).collect::<Vec<_>>())
    };
    let shares: Vec<Result<Vec<_>, Error>> = all.par_chunks(share).enumerate().map(one_share).collect();
    progress.finish();
    let mut results = Vec::with_capacity(all.len());
    for share in shares {
        results.extend(share?);
    }
    Ok(results)
}

/// Relaxed system with its labels and how it got there.
fn labelled(relaxed: &Relaxed) -> System {
    let mut system = relaxed.system.clone();
    system.energy = relaxed.prediction.energy.first().copied();
    system.forces = Some(relaxed.prediction.forces.clone());
    system.stress = relaxed.prediction.stress(0, &system);
    system.metadata.insert("converged".to_owned(), Value::Bool(relaxed.converged));
    system.metadata.insert("relax_steps".to_owned(), Value::Int(relaxed.steps as i64));
    system
}

fn tell(args: &Args, results: &[Result<Relaxed, Error>], n_left: usize) -> Result<()> {
    if args.json {
        let of = |result: &Result<Relaxed, Error>| match result {
            Ok(relaxed) => serde_json::json!({
                "energy": relaxed.prediction.energy.first(), "steps": relaxed.steps, "converged": relaxed.converged,
                "largest_force": relaxed.largest_force, "largest_stress_GPa": relaxed.largest_stress.map(to_gigapascal),
            }),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        let all: Vec<_> = results.iter().map(of).collect();
        return print_json(&serde_json::json!({ "output": args.output, "systems": all }));
    }
    let good: Vec<&Relaxed> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    let steps: Vec<u64> = good.iter().map(|relaxed| relaxed.steps).collect();
    let (Some(least), Some(most)) = (steps.iter().min(), steps.iter().max()) else { return Ok(()) };
    let left = match n_left {
        0 => String::new(),
        n => format!("; {n} did not converge within {} steps (converged=F in the file)", args.max_steps),
    };
    let n_converged = good.len() - n_left;
    print(&format!("{}: {n_converged} systems relaxed in {least} to {most} steps{left}", args.output.display()))
}
