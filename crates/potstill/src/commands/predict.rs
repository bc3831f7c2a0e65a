//! `potstill predict`

use anyhow::Result;
use burn::tensor::Device;
use potstill_core::evaluation::evaluate_all;
use potstill_core::io::{ExtxyzWriter, LabelKeys};
use potstill_nn::Model;

use crate::Outcome;
use crate::args::PredictArgs;
use crate::evaluation::ATOMS_PER_BATCH;
use crate::load;
use crate::progress::Progress;

/// Replaces labels by what the model says, and adds atomic energies.
pub fn run(args: &PredictArgs) -> Result<Outcome> {
    let model = Model::load(&args.model, &Device::flex(), args.dtype.into())?;
    let mut systems = load::systems(std::slice::from_ref(&args.input), &LabelKeys::default())?;
    let progress = Progress::new("predicting", systems.len() as u64);
    let prediction = evaluate_all(&model, &systems, ATOMS_PER_BATCH, &|more| progress.add(more as u64))?;
    progress.finish();
    let mut writer = ExtxyzWriter::create(&args.output)?;
    let mut first = 0;
    for (i, system) in systems.iter_mut().enumerate() {
        let atoms = first..first + system.n_atoms();
        first = atoms.end;
        system.energy = Some(prediction.energy[i]);
        system.forces = Some(prediction.forces[atoms.clone()].to_vec());
        system.stress = match (&prediction.virial, system.volume()) {
            (Some(virial), Some(volume)) if system.is_periodic() && volume > 0.0 => {
                Some(virial[i].map(|row| row.map(|v| -v / volume)))
            }
            _ => None,
        };
        // Labels of the input under other names would read as predictions of this model.
        system.metadata.retain(|key, _| !potstill_core::io::keys::ENERGY_KEYS.contains(&key.as_str()));
        writer.write_with(system, &[("atomic_energies", &prediction.atomic_energies[atoms])])?;
    }
    writer.finish()?;
    eprintln!("{}: {} systems", args.output.display(), systems.len());
    Ok(Outcome::Done)
}
