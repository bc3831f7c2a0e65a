//! Structures that nobody computed: made from a seed set with the teacher, which labels them.
//!
//! Each generated system says in its metadata what it came from (`generated_by`, `seed_system`, `seed_name`, and the numbers
//! of its method), so that it can be told apart from data for ever.

pub mod collision;
pub mod dynamics;
pub mod rattle;

use potstill_core::system::Value;
use potstill_core::{Error, Potential, Prediction, Result, System};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use self::collision::Collision;
pub use self::dynamics::Dynamics;
pub use self::rattle::{Rattle, Relax};

/// Method that makes structures.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Random displacements.
    Rattle(Rattle),
    /// Random displacements, then a few steps downhill with the teacher, kept by their Boltzmann factor.
    RattleRelax(Rattle, Relax),
    /// Snapshots of Langevin dynamics with the teacher.
    Dynamics(Dynamics),
    /// Snapshots of collisions of each seed with others.
    Collision(Collision),
}

impl Method {
    fn name(&self) -> &'static str {
        match self {
            Self::Rattle(_) => "rattle",
            Self::RattleRelax(..) => "rattle-relax",
            Self::Dynamics(_) => "md",
            Self::Collision(_) => "collide",
        }
    }
}

/// Limits beyond which structures are thrown away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Structures with a pair nearer than this, in Å.
    pub min_distance: f64,
    /// Structures with a force component beyond this, in eV/Å.
    pub max_force: f64,
    /// Structures whose energy lies that much above their seed's, in eV per atom.
    pub max_energy_rise: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_distance: 0.5, max_force: 50.0, max_energy_rise: 5.0 }
    }
}

/// Numbers of structures that were thrown away, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rejected {
    /// A pair was too near, or an atom ran away into numbers that are not finite.
    pub distance: usize,
    /// A force was too large.
    pub force: usize,
    /// The energy was too high.
    pub energy: usize,
    /// The Boltzmann factor decided against it.
    pub boltzmann: usize,
}

impl Rejected {
    /// Number of all that were thrown away.
    pub fn total(&self) -> usize {
        self.distance + self.force + self.energy + self.boltzmann
    }
}

/// Makes up to `per_seed` structures from each of `seeds`, labelled by `teacher`; the same for the same `seed`.
///
/// A structure that is thrown away is not replaced. `progress` hears how many seeds are done.
///
/// # Errors
/// Settings out of range; what the teacher refuses (unknown elements, unusable cells), naming the seed.
pub fn generate(
    teacher: &dyn Potential,
    seeds: &[System],
    method: &Method,
    per_seed: usize,
    limits: &Limits,
    seed: u64,
    progress: &dyn Fn(usize),
) -> Result<(Vec<System>, Rejected)> {
    check(method, limits)?;
    let mut made = Vec::new();
    let mut rejected = Rejected::default();
    for (index, origin) in seeds.iter().enumerate() {
        // A stream for each seed: what is made of it does not depend on the others.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let start = teacher.evaluate(&[origin]).map_err(|e| of_seed(index, origin, e))?;
        let mut context = Context { teacher, limits, start_energy: start.energy[0], rejected: &mut rejected };
        let found = match method {
            Method::Rattle(rattle) => rattle::rattle(&mut context, origin, rattle, None, per_seed, &mut rng),
            Method::RattleRelax(rattle, relax) => {
                rattle::rattle(&mut context, origin, rattle, Some(relax), per_seed, &mut rng)
            }
            Method::Dynamics(dynamics) => dynamics::run(&mut context, origin, dynamics, per_seed, &mut rng),
            Method::Collision(settings) => collision::run(&mut context, origin, seeds, settings, per_seed, &mut rng),
        };
        for mut system in found.map_err(|e| of_seed(index, origin, e))? {
            let name = origin.name();
            // What was computed for the seed does not hold for other places of its atoms.
            system.columns.retain(|name, column| column.is_label(name));
            system.metadata.insert("generated_by".to_owned(), Value::Text(method.name().to_owned()));
            system.metadata.insert("seed_system".to_owned(), Value::Int(index as i64));
            if let Some(name) = name {
                system.metadata.insert("seed_name".to_owned(), Value::Text(name));
                system.metadata.remove("name");
            }
            made.push(system);
        }
        progress(index + 1);
    }
    Ok((made, rejected))
}

fn of_seed(index: usize, seed: &System, error: Error) -> Error {
    match error {
        Error::System { message, .. } => Error::System { index, name: seed.name(), message },
        other => other,
    }
}

fn check(method: &Method, limits: &Limits) -> Result<()> {
    let mut numbers = vec![
        ("min_distance", limits.min_distance),
        ("max_force", limits.max_force),
        ("max_energy_rise", limits.max_energy_rise),
    ];
    match method {
        Method::Rattle(rattle) => numbers.push(("std", rattle.std)),
        Method::RattleRelax(rattle, relax) => numbers.extend([("std", rattle.std), ("temperature", relax.temperature)]),
        Method::Dynamics(md) => numbers.extend([
            ("temperature", md.temperature),
            ("timestep", md.timestep),
            ("friction_time", md.friction_time),
        ]),
        Method::Collision(collision) => {
            let [low, high] = collision.energy;
            if low > high {
                return Err(Error::setting("min_collision_energy", format!("is {low}, above the largest, {high}")));
            }
            numbers.extend([
                ("temperature", collision.temperature),
                ("timestep", collision.timestep),
                ("gap", collision.gap),
                ("impact_parameter", collision.impact_parameter),
                ("min_collision_energy", low),
                ("max_collision_energy", high),
            ]);
        }
    }
    match numbers.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
        Some((name, value)) => Err(Error::setting(name, format!("is {value}; it must be positive"))),
        None => Ok(()),
    }
}

/// Teacher, limits and counts that all methods need for one seed.
pub(crate) struct Context<'a> {
    teacher: &'a dyn Potential,
    limits: &'a Limits,
    start_energy: f64,
    rejected: &'a mut Rejected,
}

impl Context<'_> {
    /// Whether no pair is too near; counts it otherwise. The teacher is not asked about such structures.
    fn is_apart(&mut self, system: &System) -> bool {
        let apart = crate::moves::is_apart(system, self.limits.min_distance);
        self.rejected.distance += usize::from(!apart);
        apart
    }

    /// Writes the teacher's labels into a structure that its energy and forces allow.
    fn label(&mut self, mut system: System, energy: f64, forces: Vec<[f64; 3]>) -> Option<System> {
        let n = system.n_atoms() as f64;
        if !energy.is_finite() || energy - self.start_energy > self.limits.max_energy_rise * n {
            self.rejected.energy += 1;
            return None;
        }
        if forces.as_flattened().iter().any(|f| f.is_nan() || f.abs() > self.limits.max_force) {
            self.rejected.force += 1;
            return None;
        }
        (system.energy, system.forces, system.stress) = (Some(energy), Some(forces), None);
        Some(system)
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        self.teacher.evaluate(systems)
    }
}

#[cfg(test)]
mod tests;
