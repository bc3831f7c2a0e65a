//! Replicas and restarts: the same bits, whatever runs beside and whenever it was interrupted.

use potstill_core::System;
use potstill_core::system::{Column, Value};
use potstill_simulate::{Coupling, Dynamics, DynamicsSettings, Ensemble, Snapshot, Start};

use super::potentials::{CRYSTAL, LennardJones, Watched, fcc};

const START: Start = Start { temperature: 30.0, exact: false };

fn ensembles() -> [Ensemble; 5] {
    let npt = |coupling| Ensemble::Npt {
        temperature: 30.0,
        thermostat_time: 50.0,
        pressure: 0.001,
        barostat_time: 300.0,
        compressibility: 60.0,
        coupling,
    };
    [
        Ensemble::Nve,
        Ensemble::Langevin { temperature: 30.0, friction_time: 100.0 },
        Ensemble::Csvr { temperature: 30.0, time: 50.0 },
        npt(Coupling::Isotropic),
        npt(Coupling::Anisotropic),
    ]
}

/// Crystals that differ, so that a mix-up shows.
fn systems() -> Vec<System> {
    [5.3, 5.35, 5.4].iter().map(|a| fcc(2, *a)).collect()
}

fn started<'p>(potential: &'p LennardJones, systems: &[System], settings: DynamicsSettings) -> Dynamics<'p> {
    Dynamics::start(potential, &systems.iter().collect::<Vec<_>>(), &START, settings).unwrap()
}

#[test]
fn replicas_move_as_if_they_were_alone() {
    for ensemble in ensembles() {
        let settings = DynamicsSettings { seed: 5, ..DynamicsSettings::new(ensemble, 4.0) };
        let systems = systems();
        let mut together = started(&CRYSTAL, &systems, settings);
        (0..20).for_each(|_| together.step().unwrap());
        for (replica, system) in systems.iter().enumerate() {
            let settings = DynamicsSettings { first_replica: replica as u64, ..settings };
            let mut alone = started(&CRYSTAL, std::slice::from_ref(system), settings);
            (0..20).for_each(|_| alone.step().unwrap());
            assert_eq!(alone.states()[0], together.states()[replica], "{ensemble:?}, {replica}");
            assert_eq!(alone.observables(0), together.observables(replica));
        }
        // Another seed and another replica are other random numbers.
        assert_ne!(together.states()[0].velocities, together.states()[1].velocities);
        let mut other = started(&CRYSTAL, &systems, DynamicsSettings { seed: 6, ..settings });
        (0..20).for_each(|_| other.step().unwrap());
        assert_ne!(other.states()[0].velocities, together.states()[0].velocities);
    }
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    for ensemble in ensembles() {
        let settings = DynamicsSettings { seed: 9, ..DynamicsSettings::new(ensemble, 4.0) };
        let mut straight = started(&CRYSTAL, &systems(), settings);
        (0..30).for_each(|_| straight.step().unwrap());

        let mut broken = started(&CRYSTAL, &systems(), settings);
        // Interrupted twice, after an odd number of steps, and at the very start.
        for n in [0, 13, 17] {
            (0..n).for_each(|_| broken.step().unwrap());
            let text = serde_json::to_string(&broken.snapshot()).unwrap();
            let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
            assert_eq!(snapshot, broken.snapshot(), "{ensemble:?}");
            broken = Dynamics::resume(&CRYSTAL, snapshot).unwrap();
        }
        assert_eq!(broken.snapshot(), straight.snapshot(), "{ensemble:?}");
        for replica in 0..3 {
            assert_eq!(broken.observables(replica), straight.observables(replica));
        }
    }
}

#[test]
fn metadata_survive_a_restart_but_for_numbers_that_are_none() {
    let mut system = fcc(2, 5.3);
    system.metadata.insert("name".to_owned(), Value::Text("argon".to_owned()));
    system.metadata.insert("lost".to_owned(), Value::Real(f64::NAN));
    system.columns.insert("initial_charges".to_owned(), Column::real(vec![f64::NAN; 32]));
    let dynamics = started(&CRYSTAL, &[system], DynamicsSettings::new(Ensemble::Nve, 4.0));
    let text = serde_json::to_string(&dynamics.snapshot()).unwrap();
    let resumed = Dynamics::resume(&CRYSTAL, serde_json::from_str(&text).unwrap()).unwrap();
    let kept = &resumed.states()[0].system;
    assert_eq!((kept.name(), kept.metadata.len(), kept.columns.len()), (Some("argon".to_owned()), 1, 0));
}

#[test]
fn another_potential_cannot_resume() {
    let dynamics = started(&CRYSTAL, &systems(), DynamicsSettings::new(Ensemble::Nve, 4.0));
    let mut moved = dynamics;
    (0..30).for_each(|_| moved.step().unwrap());
    let complaint = |error: Option<potstill_core::Error>| error.unwrap().to_string();
    let other = LennardJones { epsilon: 0.02, ..CRYSTAL };
    let error = complaint(Dynamics::resume(&other, moved.snapshot()).err());
    assert!(error.starts_with("the snapshot was made with another potential"), "{error}");
    let direct = Watched::direct(CRYSTAL);
    let error = complaint(Dynamics::resume(&direct, moved.snapshot()).err());
    assert!(error.starts_with("the snapshot contradicts itself"), "{error}");
    // A snapshot whose parts do not fit.
    let mut value = serde_json::to_value(moved.snapshot()).unwrap();
    value["replicas"].as_array_mut().unwrap().pop();
    let error = complaint(Dynamics::resume(&CRYSTAL, serde_json::from_value(value).unwrap()).err());
    assert!(error.starts_with("the snapshot contradicts itself"), "{error}");
}

#[test]
fn settings_are_read_as_they_are_written() {
    for ensemble in ensembles() {
        let settings = DynamicsSettings { seed: u64::MAX, ..DynamicsSettings::new(ensemble, 0.5) };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<DynamicsSettings>(&text).unwrap(), settings);
    }
    let short = r#"{"ensemble": {"kind": "csvr", "temperature": 300.0, "time": 100.0}, "timestep": 0.5}"#;
    let ensemble = Ensemble::Csvr { temperature: 300.0, time: 100.0 };
    assert_eq!(serde_json::from_str::<DynamicsSettings>(short).unwrap(), DynamicsSettings::new(ensemble, 0.5));
    let wrong = short.replace("time\"", "tau\"");
    assert!(serde_json::from_str::<DynamicsSettings>(&wrong).is_err());
}
