//! Systems that stay on disk train as those in memory do, to the last bit.

mod support;

use std::path::Path;

use potstill_core::System;
use potstill_core::model::{Architecture, GemNetOCConfig};
use potstill_data::dataset::{ReferenceEnergies, Systems};
use potstill_data::io::{LabelKeys, StoredFile, write};
use potstill_train::distill::strategies::{AtomicEnergy, NodeToNode, Vanilla};
use potstill_train::distill::{DistillConfig, FeatureTerm, Term, Weight, WeightSchedule};
use potstill_train::run::Data;
use support::{assert_same, config, painn, resume, run, schnet, systems, write_teacher};

/// Molecules, some of them with fixed atoms, and isolated atoms that are not trained on.
fn labelled() -> Vec<System> {
    let mut all = systems(10, 100);
    for (k, system) in all.iter_mut().enumerate().step_by(3) {
        system.fixed = Some((0..system.n_atoms()).map(|atom| atom == k % 4).collect());
    }
    for (place, z) in [(2, 1), (5, 6), (7, 7), (9, 8)] {
        let energy = Some(-f64::from(z));
        let atom = System { atomic_numbers: vec![z], positions: vec![[0.0; 3]], energy, ..System::default() };
        all.insert(place, System { forces: Some(vec![[0.0; 3]]), ..atom });
    }
    all
}

fn stored(path: &Path, systems: &[System]) -> Systems {
    let mut writer = write(path).unwrap();
    systems.iter().for_each(|system| writer.write(system).unwrap());
    writer.finish().unwrap();
    Systems::stored(vec![StoredFile::open(path, &LabelKeys::default(), None, &|_| {}).unwrap()])
}

#[test]
fn disk_and_memory_train_alike() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_teacher(&folder.join("teacher.safetensors"), 9, &["H", "C", "N", "O"]);
    let memory = || Data { train: labelled().into(), validation: systems(4, 500).into(), ..Data::default() };
    let disk = || Data {
        train: stored(&folder.join("train.extxyz"), &labelled()),
        validation: stored(&folder.join("validation.extxyz"), &systems(4, 500)),
        ..Data::default()
    };
    let gemnet = GemNetOCConfig {
        n_blocks: 1,
        atom_channels: 10,
        edge_channels: 12,
        triplet_in_channels: 6,
        quadruplet_in_channels: 4,
        pair_in_channels: 4,
        cutoff: 5.0,
        ..GemNetOCConfig::default()
    };
    for model in [schnet(), painn(), Architecture::GemNetOC(gemnet)] {
        let mut config = config(model);
        let name = config.model.name();
        config.data.reference_energies = ReferenceEnergies::IsolatedAtoms;
        config.training.epochs = 2;
        config.distill = Some(DistillConfig::new(
            folder.join("teacher.safetensors"),
            vec![
                Term::Vanilla(Vanilla {
                    energy_weight: 0.3,
                    force_weight: 0.2,
                    stress_weight: 0.0,
                    schedule: WeightSchedule::Constant,
                }),
                Term::AtomicEnergy(AtomicEnergy { weight: Weight::Auto(0.1), schedule: WeightSchedule::Constant }),
                Term::NodeToNode(NodeToNode(FeatureTerm::new(0.5))),
            ],
        ));
        let runs = ["memory", "disk", "both"].map(|run| folder.join(format!("{name}-{run}")));
        assert!(memory().train.is_in_memory() && !disk().train.is_in_memory());
        run(&config, memory(), &runs[0]).unwrap();
        run(&config, disk(), &runs[1]).unwrap();
        assert_same(&runs[0], &runs[1], name);
        let mut first = config.clone();
        first.training.max_steps = Some(5);
        run(&first, memory(), &runs[2]).unwrap();
        resume(&config, disk(), &runs[2]).unwrap();
        assert_same(&runs[0], &runs[2], &format!("{name}, half from memory, half from disk"));
    }
}
