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
    /// Most steps of FIRE; 0 keeps the choice alone.
    pub steps: usize,
    /// Temperature of the Boltzmann factor in K: a structure is kept with probability `exp(−(E − E_seed) / k_B T)`.
    pub temperature: f64,
}

pub(super) fn rattle(
    context: &mut Context<'_>,
    origin: &System,
    rattle: &Rattle,
    relax: Option<&Relax>,
    n: usize,
    rng: &mut impl Rng,
) -> Result<Vec<System>> {
    let copies: Vec<System> = (0..n).map(|_| moved(origin, rattle.std, rng)).collect();
    let max_steps = relax.map_or(0, |relax| relax.steps as u64);
    let results = context.relaxed(&copies, max_steps)?;
    let mut kept = Vec::new();
    for relaxed in results {
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
