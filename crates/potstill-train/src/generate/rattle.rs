//! Random displacements, and relaxation after them.

use potstill_core::{Error, Result, System};
use rand::{Rng, RngExt};

use super::Context;
use potstill_simulate::{BOLTZMANN, Relaxation, relax_many, standard_normal};

/// Random displacements of free atoms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rattle {
    /// Standard deviation of each component in Å.
    pub std: f64,
}

/// A few steps downhill, and a choice by energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relax {
    /// Most steps of FIRE; 0 keeps the choice alone.
    pub steps: usize,
    /// Temperature of the Boltzmann factor in K: a structure is kept with probability `exp(−(E − E_seed) / k_B T)`.
    pub temperature: f64,
}

/// Largest force in eV/Å at which nothing is left to relax.
const RELAXED: f64 = 0.01;
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
    let copies: Vec<System> = (0..n).map(|_| moved(origin, rattle.std, rng)).collect();
    // Without steps a relaxation is an evaluation.
    let max_steps = relax.map_or(0, |relax| relax.steps as u64);
    let settings = Relaxation { fmax: RELAXED, max_steps, ..Relaxation::default() };
    let guard = context.guard();
    let batch_atoms = BATCH * origin.n_atoms();
    let results = relax_many(&guard, &copies.iter().collect::<Vec<_>>(), &settings, batch_atoms, &mut |_| {});
    let results = match results {
        Ok(results) => results,
        Err(error) => return context.end(&guard, error).map(|()| Vec::new()),
    };
    if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
        context.end(&guard, Error::Other(error.to_string()))?;
    }
    let mut kept = Vec::new();
    for relaxed in results.into_iter().flatten() {
        if let Some(relax) = relax {
            let rise = (relaxed.prediction.energy[0] - context.start_energy).max(0.0);
            if rng.random::<f64>() > (-rise / (BOLTZMANN * relax.temperature)).exp() {
                context.rejected.boltzmann += 1;
                continue;
            }
        }
        kept.extend(context.label(relaxed.system, relaxed.prediction));
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
