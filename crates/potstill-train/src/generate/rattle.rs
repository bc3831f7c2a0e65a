//! Random displacements, and relaxation after them.

use potstill_core::{Result, System};
use rand::{Rng, RngExt};

use super::Context;
use potstill_simulate::{BOLTZMANN, standard_normal};

/// Random displacements of free atoms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rattle {
    /// Standard deviation of each component in Å.
    pub std: f64,
}

/// A few steps downhill, and a choice by energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relax {
    /// Steps of steepest descent; 0 keeps the choice alone.
    pub steps: usize,
    /// Temperature of the Boltzmann factor in K: a structure is kept with probability `exp(−(E − E_seed) / k_B T)`.
    pub temperature: f64,
}

/// Å² per eV: how far a force moves its atom in one step.
const STEP: f64 = 0.01;
/// Longest step of an atom in Å.
const LONGEST: f64 = 0.05;
/// Structures that the teacher sees at a time.
const BATCH: usize = 16;

pub(super) fn rattle(
    context: &mut Context<'_>,
    origin: &System,
    rattle: &Rattle,
    relax: Option<&Relax>,
    n: usize,
    rng: &mut impl Rng,
) -> Result<Vec<System>> {
    let mut kept = Vec::new();
    let mut done = 0;
    while done < n {
        let size = BATCH.min(n - done);
        done += size;
        let mut copies: Vec<System> = (0..size).map(|_| moved(origin, rattle.std, rng)).collect();
        copies.retain(|copy| context.is_apart(copy));
        if let Some(relax) = relax {
            descend(context, &mut copies, relax.steps)?;
        }
        if copies.is_empty() {
            continue;
        }
        let prediction = context.evaluate(&copies.iter().collect::<Vec<_>>())?;
        let mut first = 0;
        for (copy, energy) in copies.into_iter().zip(prediction.energy) {
            let forces = prediction.forces[first..first + copy.n_atoms()].to_vec();
            first += copy.n_atoms();
            if let Some(relax) = relax {
                let rise = (energy - context.start_energy).max(0.0);
                if rng.random::<f64>() > (-rise / (BOLTZMANN * relax.temperature)).exp() {
                    context.rejected.boltzmann += 1;
                    continue;
                }
            }
            kept.extend(context.label(copy, energy, forces));
        }
    }
    Ok(kept)
}

/// A copy whose free atoms are displaced.
fn moved(origin: &System, std: f64, rng: &mut impl Rng) -> System {
    let mut copy = origin.clone();
    for i in 0..copy.n_atoms() {
        if origin.is_free(i) {
            copy.positions[i].iter_mut().for_each(|x| *x += std * standard_normal(rng));
        }
    }
    copy
}

/// Steepest descent with a step that no atom exceeds; structures that break on the way are dropped.
fn descend(context: &mut Context<'_>, copies: &mut Vec<System>, steps: usize) -> Result<()> {
    for _ in 0..steps {
        if copies.is_empty() {
            return Ok(());
        }
        let forces = context.evaluate(&copies.iter().collect::<Vec<_>>())?.forces;
        let mut first = 0;
        for copy in copies.iter_mut() {
            for i in 0..copy.n_atoms() {
                let force = forces[first + i];
                let length = force.iter().map(|f| f * f).sum::<f64>().sqrt();
                if copy.is_free(i) && length > 0.0 {
                    let factor = STEP.min(LONGEST / length);
                    copy.positions[i].iter_mut().zip(force).for_each(|(x, f)| *x += factor * f);
                }
            }
            first += copy.n_atoms();
        }
        copies.retain(|copy| context.is_apart(copy));
    }
    Ok(())
}
