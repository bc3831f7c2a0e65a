//! `potstill bench`

use std::time::Instant;

use std::path::PathBuf;

use anyhow::{Result, bail};
use potstill_core::Precision;
use potstill_core::{Potential, System};
use potstill_data::io::LabelKeys;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::{print, print_json};
use crate::Outcome;
use crate::args::{EngineArgs, EngineKind, FilterArgs, KeyArgs};
use crate::device::DeviceArgs;
use crate::limits::{positive, precision, whole};
use crate::load;
use crate::potential::{self, Chosen};
use crate::progress::Progress;

/// Arguments of `potstill bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files of systems; default: generated boxes.
    ///
    /// The boxes hold the model's elements, with about 50 neighbours an atom.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "atoms")]
    pub data: Vec<PathBuf>,
    /// Systems that are evaluated at a time.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = whole(1..=1_000_000_usize))]
    pub batch: usize,
    /// Numbers of atoms of the boxes.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000], value_name = "N,…", value_parser = whole(1..=10_000_000_usize))]
    pub atoms: Vec<usize>,
    /// Engines that are timed in turn.
    #[arg(long, value_enum, value_name = "KIND,…", value_delimiter = ',', default_values_t = [EngineKind::Fast, EngineKind::Network])]
    pub engine: Vec<EngineKind>,
    /// Its filters.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// Device of the engine `network`.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Seconds for each engine and size.
    #[arg(long, default_value_t = 5.0, value_name = "S", value_parser = positive(86_400.0))]
    pub seconds: f64,
    /// Precision.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Neighbours of an atom in a generated box.
const NEIGHBORS: f64 = 50.0;
/// Displacement of its atoms from a lattice, as a part of the spacing.
const DISORDER: f64 = 0.1;

/// Timing of an engine on one set of systems.
#[derive(Debug, Serialize)]
struct Timing {
    engine: &'static str,
    n_systems: usize,
    n_atoms: usize,
    /// Median.
    ms_per_evaluation: f64,
    systems_per_second: f64,
    atoms_per_second: f64,
    /// Steps of 1 fs that a day has time for, for one system.
    ns_per_day: f64,
    evaluations: usize,
    /// Largest memory of the process so far, which the engines before have a part in.
    peak_mib: Option<f64>,
}

/// Times the engines in turn, evaluation by evaluation, so that whatever else the machine does strikes all of them.
pub fn run(args: &Args) -> Result<Outcome> {
    let engines = args
        .engine
        .iter()
        .map(|&engine| {
            let device = if engine == EngineKind::Network { args.device } else { DeviceArgs::default() };
            let choice = EngineArgs { engine: Some(engine), filters: args.filters, device };
            potential::open(&args.model, &choice, args.dtype)
        })
        .collect::<Result<Vec<Chosen>>>()?;
    engines.iter().for_each(|engine| say!("{}", engine.describe()));
    let Some(first) = engines.first() else { bail!("--engine: names none") };
    let sets: Vec<Vec<System>> = match args.data.is_empty() {
        true => args.atoms.iter().map(|&n| vec![boxed(first.potential.as_ref(), n)]).collect(),
        false => {
            let mut systems = load::systems(&args.data, &LabelKeys::from(&args.keys))?;
            systems.truncate(args.batch);
            vec![systems]
        }
    };
    let mut timings = Vec::new();
    for systems in &sets {
        timings.extend(time(&engines, systems, args.seconds)?);
    }
    match args.json {
        true => print_json(&serde_json::json!({ "threads": rayon::current_num_threads(), "timings": timings }))?,
        false => print(&table(&timings))?,
    }
    Ok(Outcome::Done)
}

fn time(engines: &[Chosen], systems: &[System], seconds: f64) -> Result<Vec<Timing>> {
    let all: Vec<&System> = systems.iter().collect();
    let n_atoms: usize = systems.iter().map(System::n_atoms).sum();
    let progress = Progress::new(&format!("timing {n_atoms} atoms"), 100);
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    // The first evaluation of each fills memory and is not counted.
    for engine in engines {
        engine.potential.evaluate(&all)?;
    }
    let start = Instant::now();
    let total = seconds * engines.len() as f64;
    loop {
        for (engine, times) in engines.iter().zip(&mut found) {
            let start = Instant::now();
            engine.potential.evaluate(&all)?;
            times.push(start.elapsed().as_secs_f64());
        }
        let done = start.elapsed().as_secs_f64() / total;
        progress.set((100.0 * done).min(100.0) as u64);
        if done >= 1.0 && found[0].len() >= 3 {
            break;
        }
    }
    progress.finish();
    let timing = |(engine, mut times): (&Chosen, Vec<f64>)| {
        times.sort_unstable_by(f64::total_cmp);
        let median = times[times.len() / 2];
        Timing {
            engine: engine.name(),
            n_systems: systems.len(),
            n_atoms,
            ms_per_evaluation: 1e3 * median,
            systems_per_second: systems.len() as f64 / median,
            atoms_per_second: n_atoms as f64 / median,
            ns_per_day: 86_400.0 / median * 1e-6 * systems.len() as f64,
            evaluations: times.len(),
            peak_mib: peak_mib(),
        }
    };
    Ok(engines.iter().zip(found).map(timing).collect())
}

/// Atoms of the model's elements near the points of a cubic lattice, so dense that each has about fifty neighbours.
fn boxed(potential: &dyn Potential, n: usize) -> System {
    let volume = 4.0 / 3.0 * std::f64::consts::PI * potential.cutoff().powi(3) / NEIGHBORS;
    let spacing = volume.cbrt();
    let side = (n as f64).cbrt().ceil() as usize;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let elements = potential.elements();
    let mut system = System::default();
    for k in 0..n {
        let cell = [k / (side * side), k / side % side, k % side];
        let place = cell.map(|c| spacing * (c as f64 + DISORDER * rng.random_range(-1.0..1.0)));
        system.positions.push(place);
        system.atomic_numbers.push(elements.get(k % elements.len().max(1)).copied().unwrap_or(1));
    }
    let edge = side as f64 * spacing;
    // The last layer may not be full: it is cut off where the atoms end.
    let height = n.div_ceil(side * side) as f64 * spacing;
    system.cell = Some([[height, 0.0, 0.0], [0.0, edge, 0.0], [0.0, 0.0, edge]]);
    system.pbc = [true; 3];
    system
}

/// Largest resident memory of this process, where the system tells.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

fn table(timings: &[Timing]) -> String {
    let mut lines = vec![format!(
        "{:8} {:>8} {:>8} {:>12} {:>11} {:>12} {:>10} {:>9}",
        "engine", "systems", "atoms", "ms", "systems/s", "atoms/s", "ns/day", "peak MiB"
    )];
    for t in timings {
        lines.push(format!(
            "{:8} {:>8} {:>8} {:>12.3} {:>11.1} {:>12.0} {:>10.3} {:>9.0}",
            t.engine,
            t.n_systems,
            t.n_atoms,
            t.ms_per_evaluation,
            t.systems_per_second,
            t.atoms_per_second,
            t.ns_per_day,
            t.peak_mib.unwrap_or(0.0)
        ));
    }
    lines.join("\n")
}
