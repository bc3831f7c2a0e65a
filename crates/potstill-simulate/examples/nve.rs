//! Does the energy stay where it was? Molecular dynamics at constant energy with the engine:
//! `cargo run --release --workspace --example nve -- MODEL SYSTEMS [STEPS] [FEMTOSECONDS] [KELVIN] [COPIES]`.
//!
//! Starts from the first system of the file (with COPIES: that many of it on a cubic lattice in a periodic box, 12 Å apart), with
//! velocities of that temperature (seed 0; without drift and rotation), and prints the drift of the total energy (a straight line
//! through it by least squares) and how far it strays from that line, as JSON.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program of its own")]

use std::error::Error;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use potstill_core::System;
use potstill_data::io::{LabelKeys, read};
use potstill_engine::{Engine, FilterChoice};
use potstill_simulate::{Dynamics, DynamicsSettings, Ensemble, Start};

/// Distance of copies in Å.
const SPACING: f64 = 12.0;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, file, ..] = &args[..] else {
        return Err("usage: nve MODEL SYSTEMS [STEPS] [FEMTOSECONDS] [KELVIN] [COPIES]".into());
    };
    let n_steps: usize = at(&args, 2, 20_000)?;
    let (dt, kelvin): (f64, f64) = (at(&args, 3, 0.5)?, at(&args, 4, 300.0)?);
    let engine = Engine::<f32>::load(Path::new(model), FilterChoice::default())?;
    let first = read(Path::new(file), &LabelKeys::default())?.next().ok_or("the file holds no system")??;
    let system = copies(first, at(&args, 5, 1)?);
    let start = Start { temperature: kelvin, exact: false };
    let mut dynamics = Dynamics::start(&engine, &[&system], &start, DynamicsSettings::new(Ensemble::Nve, dt))?;

    let mut energies = Vec::with_capacity(n_steps);
    let clock = Instant::now();
    for step in 0..n_steps {
        dynamics.step()?;
        energies.push(dynamics.observables(0).conserved);
        if (step + 1) % (n_steps / 10).max(1) == 0 {
            eprintln!("{} of {n_steps} steps, total energy {:.6} eV", step + 1, energies[step]);
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    let n_atoms = system.n_atoms() as f64;
    let (slope, stray) = line(&energies, dt * 1e-3);
    let temperature = dynamics.observables(0).temperature;
    println!(
        "{{\"atoms\": {n_atoms}, \"picoseconds\": {}, \"drift_meV_per_atom_per_ps\": {:.3e}, \"stray_meV_per_atom\": {:.3e}, \
         \"final_kelvin\": {temperature:.0}, \"ms_per_step\": {:.3}}}",
        n_steps as f64 * dt * 1e-3,
        1e3 * slope / n_atoms,
        1e3 * stray / n_atoms,
        1e3 * seconds / n_steps as f64
    );
    Ok(())
}

fn at<T: FromStr>(args: &[String], index: usize, default: T) -> Result<T, T::Err> {
    args.get(index).map_or(Ok(default), |text| text.parse())
}

/// The system itself, or so many of it in a periodic box.
fn copies(system: System, n: usize) -> System {
    if n <= 1 {
        return system;
    }
    let side = (n as f64).cbrt().ceil() as usize;
    let edge = side as f64 * SPACING;
    let mut all = System { cell: Some([[edge, 0.0, 0.0], [0.0, edge, 0.0], [0.0, 0.0, edge]]), ..System::default() };
    all.pbc = [true; 3];
    for k in 0..n {
        let corner = [k / (side * side), k / side % side, k % side].map(|c| c as f64 * SPACING);
        all.atomic_numbers.extend_from_slice(&system.atomic_numbers);
        all.positions.extend(system.positions.iter().map(|p| std::array::from_fn::<f64, 3, _>(|c| p[c] + corner[c])));
    }
    all
}

/// Slope of a straight line through values `step` apart, and the standard deviation from it.
fn line(values: &[f64], step: f64) -> (f64, f64) {
    let n = values.len() as f64;
    let (middle, mean) = (0.5 * (n - 1.0), values.iter().sum::<f64>() / n);
    let (mut along, mut square) = (0.0, 0.0);
    for (i, value) in values.iter().enumerate() {
        let x = i as f64 - middle;
        (along, square) = (along + x * (value - mean), square + x * x);
    }
    let slope = along / square;
    let off = |(i, value): (usize, &f64)| (value - mean - slope * (i as f64 - middle)).powi(2);
    (slope / step, (values.iter().enumerate().map(off).sum::<f64>() / n).sqrt())
}
