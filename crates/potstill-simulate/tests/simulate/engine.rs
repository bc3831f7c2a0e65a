//! Dynamics and relaxation with networks in the engine.

use std::path::{Path, PathBuf};

use potstill_core::{Potential, System};
use potstill_data::io::{LabelKeys, read};
use potstill_engine::{Engine, FilterChoice};
use potstill_simulate::{
    Dynamics, DynamicsSettings, Ensemble, Optimizer, Relaxation, Snapshot, Start, relax, relax_many,
};

fn model(name: &str) -> (Engine<f64>, System) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models");
    let engine = Engine::load(&folder.join(format!("{name}.safetensors")), FilterChoice::default()).unwrap();
    let mut systems = read(&folder.join(format!("{name}.extxyz")), &LabelKeys::default()).unwrap();
    (engine, systems.next().unwrap().unwrap())
}

const START: Start = Start { temperature: 100.0, exact: true };

#[test]
fn networks_with_gradient_forces_conserve_energy() {
    let mut n = 0;
    for name in ["version-2-painn", "version-2-schnet", "version-2-painn_smooth"] {
        let (engine, system) = model(name);
        let gradient = engine.evaluate(&[&system]).unwrap().virial.is_some();
        let settings = DynamicsSettings::new(Ensemble::Nve, 0.1);
        let dynamics = Dynamics::start(&engine, &[&system, &system], &START, settings);
        let mut dynamics = match dynamics {
            Ok(dynamics) if gradient => dynamics,
            Err(error) if !gradient => {
                assert!(error.to_string().starts_with("ensemble: direct forces"), "{error}");
                continue;
            }
            _ => panic!("{name}: gradient forces: {gradient}"),
        };
        n += 1;
        let first = [0, 1].map(|replica| dynamics.observables(replica));
        let mut swing = 0.0_f64;
        for _ in 0..400 {
            dynamics.step().unwrap();
            let now = dynamics.observables(0);
            swing = swing.max((now.kinetic - first[0].kinetic).abs());
        }
        for (replica, first) in first.iter().enumerate() {
            let off = (dynamics.observables(replica).conserved - first.conserved).abs();
            println!("{name}: {off:e} eV, kinetic energy swings by {swing:e}");
            assert!(swing > 1e-3 && off < 0.01 * swing, "{name}: {off:e} of {swing:e}");
        }
    }
    assert!(n > 0);
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
    let (engine, system) = model("version-2-painn_smooth");
    let mut other = system.clone();
    other.positions.iter_mut().enumerate().for_each(|(i, r)| r[i % 3] += 0.05);
    let before = engine.evaluate(&[&system]).unwrap();
    let largest = before.forces.iter().map(|f| f.iter().map(|c| c * c).sum::<f64>().sqrt()).fold(0.0, f64::max);
    for optimizer in [Optimizer::Fire, Optimizer::Lbfgs] {
        let settings = Relaxation { optimizer, fmax: 0.3 * largest, max_steps: 300, ..Relaxation::default() };
        let alone = relax(&engine, &system, &settings, &mut |_| ()).unwrap();
        assert!(alone.converged && alone.steps > 0 && alone.largest_force <= 0.3 * largest);
        assert!(alone.prediction.energy[0] < before.energy[0]);
        let together = relax_many(&engine, &[&other, &system], &settings, 1000, &mut |_| ()).unwrap();
        let together = together[1].as_ref().unwrap();
        let off = (together.prediction.energy[0] - alone.prediction.energy[0]).abs();
        assert!(off < 1e-6 && together.steps == alone.steps, "{off:e}");
    }
}
