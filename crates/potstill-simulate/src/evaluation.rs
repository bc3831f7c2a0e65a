//! Evaluation of a batch with a look at what came back.

use std::ops::Range;

use potstill_core::{Error, Potential, Prediction, Result, System};

/// Evaluates systems as one batch and checks that all energies, forces and virials are finite.
///
/// # Errors
/// What the potential refuses; a prediction of another size; an [`Error::System`] for the first number that is not finite.
pub fn evaluate(potential: &dyn Potential, systems: &[&System]) -> Result<Prediction> {
    let prediction = potential.evaluate(systems)?;
    let n_atoms: usize = systems.iter().map(|s| s.n_atoms()).sum();
    let n_virials = prediction.virial.as_ref().map_or(systems.len(), Vec::len);
    if (prediction.energy.len(), prediction.forces.len(), n_virials) != (systems.len(), n_atoms, systems.len()) {
        return Err(Error::Other(
            "the potential answered for another number of systems or atoms than asked".to_owned(),
        ));
    }
    let mut first = 0;
    for (index, system) in systems.iter().enumerate() {
        let range = first..first + system.n_atoms();
        first = range.end;
        if let Some(complaint) = complaint(&prediction, index, range) {
            return Err(Error::System { index, name: system.name(), message: complaint });
        }
    }
    Ok(prediction)
}

fn complaint(prediction: &Prediction, index: usize, atoms: Range<usize>) -> Option<String> {
    let forces = &prediction.forces[atoms];
    if let Some((atom, force)) = forces.iter().enumerate().find(|(_, force)| !force.iter().all(|c| c.is_finite())) {
        return Some(format!(
            "the force on atom {atom} is {force:?} eV/Å; the potential does not know such structures"
        ));
    }
    if !prediction.energy[index].is_finite() {
        return Some(format!(
            "the energy is {} eV; the potential does not know such structures",
            prediction.energy[index]
        ));
    }
    let virial = prediction.virial.as_ref().map(|virials| virials[index])?;
    let is_finite = virial.iter().flatten().all(|c| c.is_finite());
    (!is_finite).then(|| "the virial is not finite; the potential does not know such structures".to_owned())
}

/// Prediction of one system of a batch, whose atoms are `atoms`.
pub fn part(prediction: &Prediction, index: usize, atoms: Range<usize>) -> Prediction {
    Prediction {
        energy: vec![prediction.energy[index]],
        // A potential may have no energies of atoms.
        atomic_energies: prediction.atomic_energies.get(atoms.clone()).unwrap_or_default().to_vec(),
        forces: prediction.forces[atoms].to_vec(),
        virial: prediction.virial.as_ref().map(|virials| vec![virials[index]]),
    }
}
