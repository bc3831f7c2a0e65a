//! `potstill predict`

use anyhow::Result;
use potstill_core::evaluation::evaluate_each;
use potstill_core::io::{ExtxyzWriter, LabelKeys};
use potstill_core::{Prediction, System};
use std::ops::Range;

use crate::Outcome;
use crate::args::PredictArgs;
use crate::evaluation::ATOMS_PER_BATCH;
use crate::progress::Progress;
use crate::{load, potential};

/// Replaces labels by what the model says, and adds atomic energies.
pub fn run(args: &PredictArgs) -> Result<Outcome> {
    let chosen = potential::open(&args.model, &args.engine, args.dtype)?;
    let systems = load::open(std::slice::from_ref(&args.input), &LabelKeys::default(), None, None)?;
    say!("{}", chosen.describe());
    let progress = Progress::new("predicting", systems.len() as u64);
    let mut writer = ExtxyzWriter::create(&args.output)?;
    let mut n_done = 0;
    evaluate_each(chosen.potential.as_ref(), &systems, ATOMS_PER_BATCH, &mut |members, prediction| {
        let mut first = 0;
        for (i, system) in members.iter().enumerate() {
            let atoms = first..first + system.n_atoms();
            first = atoms.end;
            let labelled = with_labels(system.clone().into_owned(), i, atoms.clone(), prediction);
            writer.write_with(&labelled, &[("atomic_energies", &prediction.atomic_energies[atoms])])?;
        }
        n_done += members.len();
        progress.set(n_done as u64);
        Ok(())
    })?;
    progress.finish();
    writer.finish()?;
    say!("{}: {} systems", args.output.display(), systems.len());
    Ok(Outcome::Done)
}

/// The system with what the model says of it: number `i` of a batch, whose atoms are `atoms`.
fn with_labels(mut system: System, i: usize, atoms: Range<usize>, prediction: &Prediction) -> System {
    system.energy = Some(prediction.energy[i]);
    system.forces = Some(prediction.forces[atoms].to_vec());
    system.stress = match (&prediction.virial, system.volume()) {
        (Some(virial), Some(volume)) if system.is_periodic() && volume > 0.0 => {
            Some(virial[i].map(|row| row.map(|v| -v / volume)))
        }
        _ => None,
    };
    // Labels of the input under other names would read as predictions of this model.
    system.metadata.retain(|key, _| !potstill_core::io::keys::ENERGY_KEYS.contains(&key.as_str()));
    system
}
