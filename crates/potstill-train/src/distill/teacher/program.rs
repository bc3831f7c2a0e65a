//! Answers of a program.

use potstill_core::{Error, Potential, Result, System};
use potstill_data::dataset::{Systems, Visit};
use potstill_data::program::{Given, Program, atomic_energies, virial};

use crate::distill::answer::Answer;
use crate::distill::questions::Holds;

/// Labels that a program gives, found by asking about the first system of a dataset.
pub(super) fn holds(program: &Program, systems: &Systems) -> Result<Holds> {
    if program.given().is_none() && !systems.is_empty() {
        program.answers(&[systems.get(0)?.as_ref()]).map_err(|e| systems.locate(e))?;
    }
    let Given { energy, forces, stress, atomic_energies } = program.given().unwrap_or_default();
    Ok(Holds { energy, forces, atomic_energies, spread: false, virial: stress })
}

/// Answer of a program about systems.
pub(super) fn ask(program: &Program, members: &[&System], holds: Holds) -> Result<Answer> {
    let mut answer = Answer::default();
    for (system, labels) in members.iter().zip(program.answers(members)?) {
        if holds.virial {
            answer.virials.push(virial(system, labels.stress.as_ref()).unwrap_or_default());
        }
        if holds.energy {
            answer.energy.extend(labels.energy);
        }
        if holds.atomic_energies {
            answer.atomic_energies.extend(atomic_energies(&labels).unwrap_or_default());
        }
        if holds.forces {
            answer.forces.extend(labels.forces.unwrap_or_default());
        }
    }
    Ok(answer)
}

/// Force of a program on the atoms of systems. Shape: `[n_atoms * 3]`.
pub(super) fn forces(program: &Program, systems: &[&System]) -> Result<Vec<f64>> {
    if program.given().is_some_and(|given| !given.forces) {
        let message = format!("the program {} gives no forces, whose derivatives are asked for", program.settings());
        return Err(Error::Other(message));
    }
    Ok(program.evaluate(systems)?.forces.into_flattened())
}
