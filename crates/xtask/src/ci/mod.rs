//! The gate: everything that must hold before a change lands.

mod cargo;
mod cycles;
mod directions;
mod environment;
mod lammps;
mod licences;
mod links;
mod modules;
mod mpi;
mod python;
mod tools;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{kill, readme, reference};

/// Arguments of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Steps to run; default: all.
    ///
    /// Such as format,tests.
    #[arg(long, value_delimiter = ',', value_name = "STEP,…")]
    only: Vec<String>,
    /// List the steps.
    #[arg(long)]
    list: bool,
}

/// One step of the gate; `run` answers whether it passed, and prints what is wrong.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<bool>,
}

/// All steps, the quick ones first.
const STEPS: &[Step] = &[
    Step { name: "directions", about: "direction of dependencies between crates", run: directions::check },
    Step { name: "cycles", about: "cycles between modules of a crate", run: cycles::check },
    Step { name: "format", about: "format", run: cargo::format },
    Step { name: "links", about: "links between pages", run: links::check },
    Step { name: "licences", about: "licences and sources of dependencies", run: licences::check },
    Step { name: "unused", about: "unused dependencies", run: tools::machete },
    Step { name: "spelling", about: "spelling", run: tools::typos },
    Step { name: "tests", about: "the README's test command", run: cargo::tests },
    Step { name: "browser", about: "a report in a browser", run: cargo::report_in_a_browser },
    Step { name: "reference", about: "generated pages of the manual", run: reference::check },
    Step { name: "walk", about: "the README's walk", run: readme::walk_of_the_readme },
    Step { name: "kill", about: "killed runs", run: kill::each_twice },
    Step { name: "python", about: "the Python package, from its wheel", run: python::tests },
    Step { name: "lammps", about: "the plugin for LAMMPS, from its wheel", run: lammps::tests },
    Step { name: "lints", about: "lints", run: cargo::lints },
    Step { name: "documentation", about: "documentation of the code", run: cargo::documentation },
    Step { name: "packages", about: "packages of the crates", run: cargo::packages },
    // Last: the program with MPI takes the place of the usual one, which the next build makes again.
    Step { name: "mpi", about: "several processes, with MPI", run: mpi::tests },
];

/// Runs the steps in order and ends at the first that fails.
pub fn run(args: &Args) -> Result<bool> {
    if args.list {
        STEPS.iter().for_each(|step| println!("{:14} {}", step.name, step.about));
        return Ok(true);
    }
    if let Some(unknown) = args.only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("--only {unknown}: unknown step; `cargo xtask ci --list` shows all");
    }
    let is_wanted = |step: &&Step| args.only.is_empty() || args.only.iter().any(|name| name == step.name);
    let started = Instant::now();
    for step in STEPS.iter().filter(is_wanted) {
        println!("\n== {}", step.about);
        let step_started = Instant::now();
        if !(step.run)()? {
            println!("failed: {}", step.about);
            return Ok(false);
        }
        println!("-- {:.0} s", step_started.elapsed().as_secs_f64());
    }
    println!("\nall passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(true)
}
