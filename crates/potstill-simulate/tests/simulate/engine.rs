//! Dynamics and relaxation with networks in the engine: the teacher of the shipped demo, and models of 6 training steps.

use std::path::{Path, PathBuf};

use potstill_core::{Potential, System};
use potstill_data::io::{LabelKeys, read};
use potstill_engine::{Engine, FilterChoice};
use potstill_simulate::{
    Dynamics, DynamicsSettings, Ensemble, Optimizer, Relaxation, Snapshot, Start, relax, relax_many,
};

fn load(model: &str, systems: &str, n: usize) -> (Engine<f64>, Vec<System>) {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let engine = Engine::load(&root.join(model), FilterChoice::default()).unwrap();
    let systems = read(&root.join(systems), &LabelKeys::default()).unwrap();
    (engine, systems.take(n).collect::<Result<_, _>>().unwrap())
}

/// A network that knows its molecules, and three of them.
fn teacher() -> (Engine<f64>, Vec<System>) {
    load("data/xcoll-demo/teacher/teacher.safetensors", "data/xcoll-demo/test.extxyz.xz", 3)
}

/// A network that knows nothing, and the molecule that it was trained on.
fn model(name: &str) -> (Engine<f64>, System) {
    let file = |kind| format!("testdata/models/{name}.{kind}");
    let (engine, mut systems) = load(&file("safetensors"), &file("extxyz"), 1);
    (engine, systems.remove(0))
}

const START: Start = Start { temperature: 100.0, exact: true };

#[test]
fn a_network_conserves_the_energy_of_its_gradient_forces() {
    let (engine, system) = model("version-2-schnet");
    let spread = |timestep: f64| {
        let settings = DynamicsSettings::new(Ensemble::Nve, timestep);
        let mut dynamics = Dynamics::start(&engine, &[&system], &START, settings).unwrap();
        let first = dynamics.observables(0);
        let (mut worst, mut swing) = (0.0_f64, 0.0_f64);
        for _ in 0..(60.0 / timestep) as usize {
            dynamics.step().unwrap();
            let now = dynamics.observables(0);
            worst = worst.max((now.conserved - first.conserved).abs());
            swing = swing.max((now.kinetic - first.kinetic).abs());
        }
        assert!(worst < 1e-2 * swing);
        worst
    };
    let (coarse, fine) = (spread(0.4), spread(0.2));
    assert!((3.0..5.0).contains(&(coarse / fine)), "{coarse:e} {fine:e}");
}

#[test]
fn direct_forces_of_networks_are_refused() {
    let (engine, systems) = teacher();
    let error = Dynamics::start(&engine, &[&systems[0]], &START, DynamicsSettings::new(Ensemble::Nve, 0.5)).err();
    assert!(error.unwrap().to_string().starts_with("ensemble: direct forces are no gradient"));
}

#[test]
fn replicas_of_a_network_move_as_if_they_were_alone() {
    let (engine, systems) = teacher();
    let settings = DynamicsSettings::new(Ensemble::Csvr { temperature: 100.0, time: 20.0 }, 0.5);
    let mut together = Dynamics::start(&engine, &systems.iter().collect::<Vec<_>>(), &START, settings).unwrap();
    let settings = DynamicsSettings { first_replica: 1, ..settings };
    let mut alone = Dynamics::start(&engine, &[&systems[1]], &START, settings).unwrap();
    for _ in 0..20 {
        together.step().unwrap();
        alone.step().unwrap();
    }
    let pairs = together.states()[1].system.positions.iter().zip(&alone.states()[0].system.positions);
    let off = pairs.flat_map(|(a, b)| a.iter().zip(b)).fold(0.0_f64, |most, (x, y)| most.max((x - y).abs()));
    assert!(off < 1e-10, "{off:e}");
}

#[test]
fn resumed_networks_go_on_bit_for_bit() {
    let (engine, system) = model("version-2-painn_smooth");
    let settings = DynamicsSettings::new(Ensemble::Langevin { temperature: 100.0, friction_time: 50.0 }, 0.5);
    let mut straight = Dynamics::start(&engine, &[&system, &system], &START, settings).unwrap();
    let mut broken = Dynamics::start(&engine, &[&system, &system], &START, settings).unwrap();
    (0..20).for_each(|_| straight.step().unwrap());
    (0..9).for_each(|_| broken.step().unwrap());
    let snapshot: Snapshot = serde_json::from_str(&serde_json::to_string(&broken.snapshot()).unwrap()).unwrap();
    let mut resumed = Dynamics::resume(&engine, snapshot).unwrap();
    (0..11).for_each(|_| resumed.step().unwrap());
    assert_eq!(resumed.snapshot(), straight.snapshot());
    let other = model("version-2-schnet").0;
    assert!(Dynamics::resume(&other, broken.snapshot()).is_err());
}

#[test]
fn networks_relax_alone_and_together() {
    let (engine, systems) = teacher();
    let refs: Vec<&System> = systems.iter().collect();
    let before = engine.evaluate(&refs).unwrap();
    for optimizer in [Optimizer::Fire, Optimizer::Lbfgs] {
        let settings = Relaxation { optimizer, max_steps: 60, ..Relaxation::default() };
        let together = relax_many(&engine, &refs, &settings, 1000, &mut |_| ()).unwrap();
        for (index, together) in together.iter().enumerate() {
            let together = together.as_ref().unwrap();
            assert!(together.prediction.energy[0] < before.energy[index] - 0.01);
        }
        let alone = relax(&engine, refs[1], &settings, &mut |_| ()).unwrap();
        let together = together[1].as_ref().unwrap();
        let off = (together.prediction.energy[0] - alone.prediction.energy[0]).abs();
        assert!(off < 1e-6 && together.steps == alone.steps, "{off:e}");
    }
}
