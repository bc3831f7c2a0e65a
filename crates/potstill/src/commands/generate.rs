//! `potstill data generate`: structures made and labelled by a teacher.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use potstill_core::System;
use potstill_data::dataset::Visit;
use potstill_data::io::{Kind, LabelKeys, Output, write};
use potstill_train::generate::{Collision, Dynamics, Limits, Method, Rattle, Relax, generate};

use super::{print, print_json, tell_left_out};
use crate::Outcome;
use crate::args::{EngineArgs, GenerateArgs, GenerateMethod};
use crate::load;
use crate::potential;
use crate::progress::Progress;

/// Makes structures from seeds and writes those that pass the limits.
pub fn run(args: &GenerateArgs) -> Result<Outcome> {
    let inputs: Vec<PathBuf> = args.seeds.iter().chain([&args.teacher]).cloned().collect();
    let policy = Output { overwrite: args.existing.policy(), inputs: &inputs };
    policy.check(&args.output, Kind::of_systems(&args.output)?)?;
    let teacher = potential::open(&args.teacher, &EngineArgs::default(), args.dtype)?;
    say!("{}", teacher.describe());
    let read = load::open(&args.seeds, &LabelKeys::from(&args.keys), Some(true), args.max_seeds)?;
    let seeds = read.as_slice().context("seeds are not in memory")?;
    let limits =
        Limits { min_distance: args.min_distance, max_force: args.max_force, max_energy_rise: args.max_energy_rise };
    let progress = Progress::new("generating from seeds", seeds.len() as u64);
    let tell = |done: usize| progress.set(done as u64);
    let (systems, rejected) =
        generate(teacher.potential.as_ref(), seeds, &method(args), args.per_seed, &limits, args.seed, &tell)
            .map_err(|error| read.locate(error))
            .with_context(|| args.teacher.display().to_string())?;
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
            seeds.len(),
            rejected.distance,
            rejected.force,
            rejected.energy,
            rejected.boltzmann
        ))?;
    }
    Ok(Outcome::Done)
}

fn method(args: &GenerateArgs) -> Method {
    let rattle = Rattle { std: args.std };
    match args.method {
        GenerateMethod::Rattle => Method::Rattle(rattle),
        GenerateMethod::RattleRelax => {
            Method::RattleRelax(rattle, Relax { steps: args.relax_steps, temperature: args.temperature })
        }
        GenerateMethod::Md => Method::Dynamics(Dynamics {
            temperature: args.temperature,
            timestep: args.timestep,
            friction_time: args.friction_time,
            equilibration: args.equilibration,
            interval: args.interval,
        }),
        GenerateMethod::Collide => Method::Collision(Collision {
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
