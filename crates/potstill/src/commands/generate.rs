//! `potstill data generate`: structures made and labelled by a teacher.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use potstill_core::{Part, Precision, System};
use potstill_data::dataset::Visit;
use potstill_data::io::{Kind, LabelKeys, Output, write};
use potstill_train::generate::{Collision, Dynamics, Limits, Method, Rattle, Relax, generate};

use super::{print, print_json, tell_left_out};
use crate::Outcome;
use crate::args::{ExistingArgs, KeyArgs, ProgramArgs};
use crate::limits::{number, positive, precision, seed, whole};
use crate::load;
use crate::potential;
use crate::progress::Progress;

/// How `data generate` makes structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// Random displacements of free atoms.
    Rattle,
    /// Random displacements, some steps downhill, then a choice by Boltzmann factor.
    RattleRelax,
    /// Snapshots of Langevin dynamics.
    Md,
    /// Snapshots of collisions of each seed with others; for molecules.
    Collide,
}

/// Arguments of `potstill data generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file of the teacher.
    #[arg(long, value_name = "FILE", required_unless_present = "program", conflicts_with = "program")]
    pub teacher: Option<PathBuf>,
    /// A program that is the teacher.
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Files of systems to start from.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub seeds: Vec<PathBuf>,
    /// File for the structures.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// rattle, rattle-relax, md or collide.
    ///
    /// rattle: random displacements of free atoms. rattle-relax: after those some steps downhill, then a choice by Boltzmann
    /// factor. md: snapshots of Langevin dynamics. collide: snapshots of collisions of each seed with others, for molecules.
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub method: How,
    /// Structures of each seed.
    ///
    /// Counted before any is thrown away.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(1..=1_000_000_usize))]
    pub per_seed: usize,
    /// Use the first that many seeds only.
    #[arg(long, value_name = "N", value_parser = whole(1..=usize::MAX), hide_short_help = true)]
    pub max_seeds: Option<usize>,
    /// Make the structures of one part of the seeds, as 2/8.
    ///
    /// For job arrays: the files of all parts, one after the other, hold what one command makes.
    #[arg(long, value_name = "R/N", hide_short_help = true)]
    pub part: Option<Part>,
    /// Size of displacements in Å.
    ///
    /// Standard deviation of each component, for rattle and rattle-relax.
    #[arg(long, default_value_t = 0.05, value_name = "A", value_parser = positive(10.0))]
    pub std: f64,
    /// Steps downhill of rattle-relax.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = whole(0..=1_000_000_usize), hide_short_help = true)]
    pub relax_steps: usize,
    /// Temperature in K.
    ///
    /// That of md, of molecules that collide and of the Boltzmann factor.
    #[arg(long, default_value_t = 300.0, value_name = "K", value_parser = positive(1e7))]
    pub temperature: f64,
    /// Time step of md and collide in fs.
    #[arg(long, default_value_t = 0.5, value_name = "FS", value_parser = positive(100.0), hide_short_help = true)]
    pub timestep: f64,
    /// Time in which the bath of md forgets velocities, in fs.
    #[arg(long, default_value_t = 100.0, value_name = "FS", value_parser = positive(1e9), hide_short_help = true)]
    pub friction_time: f64,
    /// Steps of md before the first snapshot.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = whole(0..=1_000_000_000_usize), hide_short_help = true)]
    pub equilibration: usize,
    /// Steps of md and collide between snapshots.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = whole(1..=1_000_000_000_usize), hide_short_help = true)]
    pub interval: usize,
    /// Snapshots of each collision; a seed has as many collisions as --per-seed takes.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = whole(1..=1_000_000_usize), hide_short_help = true)]
    pub snapshots: usize,
    /// Smallest kinetic energy of the approach of a collision in eV.
    #[arg(long, default_value_t = 0.3, value_name = "EV", value_parser = number(0.0..=1e4), hide_short_help = true)]
    pub min_collision_energy: f64,
    /// Largest kinetic energy of the approach of a collision in eV.
    #[arg(long, default_value_t = 8.0, value_name = "EV", value_parser = positive(1e4), hide_short_help = true)]
    pub max_collision_energy: f64,
    /// Largest distance at which centres of mass would pass each other, in Å.
    #[arg(long, default_value_t = 1.5, value_name = "A", value_parser = number(0.0..=100.0), hide_short_help = true)]
    pub impact_parameter: f64,
    /// Distance of the closest atoms of two molecules before they collide, in Å.
    #[arg(long, default_value_t = 3.2, value_name = "A", value_parser = positive(100.0), hide_short_help = true)]
    pub gap: f64,
    /// Smallest distance of two atoms in Å.
    ///
    /// Structures with nearer atoms are thrown away.
    #[arg(long, default_value_t = 0.5, value_name = "A", value_parser = number(0.0..=100.0))]
    pub min_distance: f64,
    /// Largest force in eV/Å.
    ///
    /// Structures with a larger component are thrown away.
    #[arg(long, default_value_t = 50.0, value_name = "F", value_parser = positive(1e9))]
    pub max_force: f64,
    /// Most energy above the seed's, in eV per atom.
    ///
    /// Structures that lie higher are thrown away.
    #[arg(hide_short_help = true, long, default_value_t = 5.0, value_name = "EV", value_parser = positive(1e9))]
    pub max_energy_rise: f64,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Precision of the teacher.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE", hide_short_help = true)]
    pub dtype: Precision,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print counts as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Makes structures from seeds and writes those that pass the limits.
pub fn run(args: &Args) -> Result<Outcome> {
    let inputs: Vec<PathBuf> = args.seeds.iter().chain(&args.teacher).cloned().collect();
    let policy = Output { overwrite: args.existing.policy(), inputs: &inputs };
    policy.check(&args.output, Kind::of_systems(&args.output)?)?;
    let teacher = potential::open_any(args.teacher.as_deref(), &args.program, args.dtype)?;
    say!("{}", teacher.description);
    let read = load::open(&args.seeds, &LabelKeys::from(&args.keys), Some(true), args.max_seeds)?;
    let seeds = read.as_slice().context("seeds are not in memory")?;
    let limits =
        Limits { min_distance: args.min_distance, max_force: args.max_force, max_energy_rise: args.max_energy_rise };
    let range = args.part.map_or(0..seeds.len(), |part| part.range(seeds.len()));
    if let (true, Some(part)) = (range.is_empty(), args.part) {
        bail!("--part {part}: there are {} seeds; make fewer parts", seeds.len());
    }
    let n_seeds = range.len();
    let progress = Progress::new("generating from seeds", n_seeds as u64);
    let tell = |done: usize| progress.set(done as u64);
    let (systems, rejected) =
        generate(teacher.potential.as_ref(), (seeds, range), &method(args), args.per_seed, &limits, args.seed, &tell)
            .map_err(|error| teacher.named(read.locate(error)))?;
    progress.finish();
    if systems.is_empty() {
        bail!(
            "nothing passed the limits: {} too near, {} with too large a force, {} too high in energy, {} against their \
             Boltzmann factor; disturb less or widen the limits",
            rejected.distance,
            rejected.force,
            rejected.energy,
            rejected.boltzmann
        );
    }
    let mut writer = write(&args.output)?;
    for system in &systems {
        writer.write(system)?;
    }
    tell_left_out(&args.output, &writer.finish()?);
    let names =
        |systems: &[System]| -> BTreeSet<String> { systems.iter().flat_map(|s| s.columns.keys()).cloned().collect() };
    let dropped: Vec<String> = names(seeds).difference(&names(&systems)).cloned().collect();
    if !dropped.is_empty() {
        say!("{}: left out, as they hold for the seeds alone: {}", args.output.display(), dropped.join(", "));
    }
    if args.json {
        print_json(&serde_json::json!({ "output": args.output, "n_systems": systems.len(), "rejected": rejected }))?;
    } else {
        print(&format!(
            "{}: {} systems from {} seeds; thrown away: {} too near, {} by force, {} by energy, {} by Boltzmann factor",
            args.output.display(),
            systems.len(),
            n_seeds,
            rejected.distance,
            rejected.force,
            rejected.energy,
            rejected.boltzmann
        ))?;
    }
    Ok(Outcome::Done)
}

fn method(args: &Args) -> Method {
    let rattle = Rattle { std: args.std };
    match args.method {
        How::Rattle => Method::Rattle(rattle),
        How::RattleRelax => {
            Method::RattleRelax(rattle, Relax { steps: args.relax_steps, temperature: args.temperature })
        }
        How::Md => Method::Dynamics(Dynamics {
            temperature: args.temperature,
            timestep: args.timestep,
            friction_time: args.friction_time,
            equilibration: args.equilibration,
            interval: args.interval,
        }),
        How::Collide => Method::Collision(Collision {
            temperature: args.temperature,
            energy: [args.min_collision_energy, args.max_collision_energy],
            impact_parameter: args.impact_parameter,
            gap: args.gap,
            timestep: args.timestep,
            interval: args.interval,
            snapshots: args.snapshots,
        }),
    }
}
