//! Evaluating many systems in parallel batches.

use rayon::prelude::*;

use crate::{Error, Potential, Prediction, Result, System};

/// Cuts systems into consecutive batches of about `max_atoms` atoms, at least one system each.
pub fn batches<'a>(systems: &'a [System], max_atoms: usize) -> Vec<&'a [System]> {
    let mut batches: Vec<&'a [System]> = Vec::new();
    let (mut first, mut atoms) = (0, 0);
    for (i, system) in systems.iter().enumerate() {
        if i > first && atoms + system.n_atoms() > max_atoms {
            batches.push(&systems[first..i]);
            (first, atoms) = (i, 0);
        }
        atoms += system.n_atoms();
    }
    if first < systems.len() {
        batches.push(&systems[first..]);
    }
    batches
}

/// Energies and forces of all `systems`, in their order; `progress` hears how many more are done.
///
/// # Errors
/// That of the first batch that fails, with the system's index among all of `systems`.
pub fn evaluate_all(
    potential: &dyn Potential,
    systems: &[System],
    max_atoms: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Prediction> {
    let mut first = 0;
    let numbered: Vec<(usize, &[System])> = batches(systems, max_atoms)
        .into_iter()
        .map(|batch| {
            first += batch.len();
            (first - batch.len(), batch)
        })
        .collect();
    let parts: Vec<Prediction> = numbered
        .par_iter()
        .map(|(first, batch)| {
            let members: Vec<&System> = batch.iter().collect();
            let prediction = potential.evaluate(&members).map_err(|e| match e {
                Error::System { index, name, message } => Error::System { index: index + first, name, message },
                other => other,
            })?;
            progress(batch.len());
            Ok(prediction)
        })
        .collect::<Result<_>>()?;
    Ok(concatenate(parts))
}

fn concatenate(parts: Vec<Prediction>) -> Prediction {
    let mut all = Prediction::default();
    for part in parts {
        all.energy.extend(part.energy);
        all.atomic_energies.extend(part.atomic_energies);
        all.forces.extend(part.forces);
        if let Some(virial) = part.virial {
            all.virial.get_or_insert_default().extend(virial);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_everything_in_order() {
        let sizes = [3, 5, 50, 1, 1, 9];
        let systems: Vec<System> =
            sizes.iter().map(|&n| System { atomic_numbers: vec![1; n], ..System::default() }).collect();
        let found: Vec<Vec<usize>> =
            batches(&systems, 10).iter().map(|b| b.iter().map(System::n_atoms).collect()).collect();
        assert_eq!(found, [vec![3, 5], vec![50], vec![1, 1], vec![9]]);
        assert!(batches(&[], 10).is_empty());
    }
}
