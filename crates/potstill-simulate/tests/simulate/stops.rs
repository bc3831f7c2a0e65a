//! Signs at which dynamics stop.

use potstill_core::System;
use potstill_simulate::{Dynamics, DynamicsSettings, Ensemble, State, StopReason, StopRule};

use super::potentials::{CLUSTER, CRYSTAL, argon, fcc};

/// Two atoms that fly at each other with this speed in Å/fs, and one that rests.
fn collision(speed: f64) -> Vec<State> {
    let mut pair = State::at_rest(&argon(&[[0.0; 3], [6.0, 0.0, 0.0]])).unwrap();
    pair.velocities = vec![[speed, 0.0, 0.0], [-speed, 0.0, 0.0]];
    vec![State::at_rest(&argon(&[[0.0; 3]])).unwrap(), pair]
}

fn run(speed: f64, rule: &StopRule) -> Option<String> {
    rule.check().unwrap();
    let settings = DynamicsSettings::new(Ensemble::Nve, 2.0);
    let mut dynamics = Dynamics::new(&CLUSTER, collision(speed), settings).unwrap();
    for _ in 0..1500 {
        if let Some(stopped) = dynamics.stopped(rule) {
            assert_eq!((stopped.replica, stopped.step), (1, dynamics.step_count()));
            return Some(stopped.to_string());
        }
        dynamics.step().unwrap();
    }
    None
}

#[test]
fn limits_are_kept_until_they_are_passed() {
    let none = StopRule::default();
    assert_eq!(run(0.01, &none), None);
    let distance = StopRule { distance_below: Some(3.0), ..none };
    assert_eq!(run(0.001, &distance), None);
    let message = run(0.01, &distance).unwrap();
    let end = message.strip_prefix("replica 1, step ").unwrap();
    assert!(end.contains(": atoms 0 and 1 are 2.9"), "{message}");
    // The way in a step at the start is 0.02 Å.
    let way = StopRule { move_above: Some(0.0199), ..none };
    let message = run(0.01, &way).unwrap();
    assert!(
        message.starts_with("replica 1, step 0: atom 0 moves 0.020 Å in one step")
            || message.starts_with("replica 1, step 0: atom 1 moves 0.020 Å in one step"),
        "{message}"
    );
    assert_eq!(run(0.001, &way), None);
    // One degree of freedom is left: m v² / k is 2 · 39.95 · 1e-4 / 9.6e-3 eV, 9609 K.
    let hot = StopRule { temperature_above: Some(9600.0), ..none };
    assert_eq!(run(0.01, &hot).unwrap(), "replica 1, step 0: the temperature is 9610 K");
    assert_eq!(run(0.001, &hot), None);
}

#[test]
fn distances_reach_across_the_cell() {
    let mut crystal = fcc(2, 5.3);
    crystal.positions[0] = [-2.65 + 0.5, 0.0, 2.65];
    crystal.positions.iter_mut().for_each(|r| r[2] += 20.0 * 5.3);
    let states = vec![State::at_rest(&crystal).unwrap()];
    let settings = DynamicsSettings { remove_drift: false, ..DynamicsSettings::new(Ensemble::Nve, 1.0) };
    let dynamics = Dynamics::new(&CRYSTAL, states, settings).unwrap();
    let rule = StopRule { distance_below: Some(1.0), ..StopRule::default() };
    let StopReason::Distance(atoms, distance) = dynamics.stopped(&rule).unwrap().reason else { panic!() };
    assert!(atoms.contains(&0) && (distance - 0.5).abs() < 1e-9, "{atoms:?} {distance}");
}

#[test]
fn limits_must_be_positive() {
    for (rule, wanted) in [
        (
            StopRule { temperature_above: Some(-1.0), ..StopRule::default() },
            "temperature_above: is -1; give a positive number of K",
        ),
        (
            StopRule { distance_below: Some(f64::NAN), ..StopRule::default() },
            "distance_below: is NaN; give a positive number of Å",
        ),
        (StopRule { move_above: Some(0.0), ..StopRule::default() }, "move_above: is 0; give a positive number of Å"),
    ] {
        let error = rule.check().unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn a_fixed_system_shows_no_sign() {
    let system = System { fixed: Some(vec![true; 2]), ..argon(&[[0.0; 3], [3.8, 0.0, 0.0]]) };
    let settings = DynamicsSettings::new(Ensemble::Nve, 1.0);
    let dynamics = Dynamics::new(&CLUSTER, vec![State::at_rest(&system).unwrap()], settings).unwrap();
    let rule = StopRule { temperature_above: Some(1.0), distance_below: Some(1.0), move_above: Some(0.1) };
    assert_eq!(dynamics.stopped(&rule), None);
}
