//! Temperatures of the baths against the canonical distribution.

use potstill_core::System;
use potstill_simulate::{BOLTZMANN, Dynamics, DynamicsSettings, Ensemble, Start};

use super::potentials::{CLUSTER, CRYSTAL, ElasticBox, KT_300, Springs, argon, cluster, fcc, gas};
use super::statistics::{assert_mean, squares};

fn start(kelvin: f64) -> Start {
    Start { temperature: kelvin, exact: false }
}

/// Temperatures after each of `n` steps, when `skip` have been made.
fn temperatures(dynamics: &mut Dynamics<'_>, skip: usize, n: usize) -> Vec<f64> {
    (0..skip).for_each(|_| dynamics.step().unwrap());
    let mut next = || {
        dynamics.step().unwrap();
        dynamics.observables(0).temperature
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn langevin_samples_oscillators() {
    let springs = Springs { stiffness: 1.0 };
    let atoms = argon(&[[0.0; 3]; 10]);
    let settings = DynamicsSettings::new(Ensemble::Langevin { temperature: 300.0, friction_time: 100.0 }, 5.0);
    let mut dynamics = Dynamics::start(&springs, &[&atoms], &start(300.0), settings).unwrap();
    let (mut kelvin, mut extent) = (Vec::new(), Vec::new());
    (0..500).for_each(|_| dynamics.step().unwrap());
    for _ in 0..60_000 {
        dynamics.step().unwrap();
        let now = dynamics.observables(0);
        kelvin.push(now.temperature);
        // Potential energy of 30 oscillators.
        extent.push(now.potential / 15.0);
    }
    // BAOAB samples positions of oscillators exactly; velocities are slow by (ω dt)²/4, 0.15 % here.
    assert_mean("kT of the positions", &extent, KT_300, 0.01, 0.0);
    assert_mean("temperature", &kelvin, 300.0, 0.006, 0.002);
    assert_mean("its variance", &squares(&kelvin, 300.0), 2.0 * 300.0_f64.powi(2) / 30.0, 0.04, 0.004);
}

#[test]
fn rescaling_samples_the_kinetic_energy_of_a_gas() {
    // 3 · 4 − 3 = 9 degrees of freedom, far from a normal distribution: the third moment is checked, too.
    let ideal = ElasticBox { side: 20.0, stiffness: 0.0 };
    let settings = DynamicsSettings::new(Ensemble::Csvr { temperature: 300.0, time: 20.0 }, 5.0);
    let mut dynamics = Dynamics::start(&ideal, &[&gas(4, 20.0)], &start(300.0), settings).unwrap();
    let kelvin = temperatures(&mut dynamics, 100, 200_000);
    let variance = 2.0 * 300.0_f64.powi(2) / 9.0;
    assert_mean("temperature", &kelvin, 300.0, 0.004, 0.0);
    assert_mean("its variance", &squares(&kelvin, 300.0), variance, 0.02, 0.0);
    let cubes: Vec<f64> = kelvin.iter().map(|t| (t - 300.0).powi(3)).collect();
    assert_mean("third moment", &cubes, variance.powf(1.5) * (8.0_f64 / 9.0).sqrt(), 0.06, 0.0);
}

#[test]
fn rescaling_samples_a_crystal() {
    let settings = DynamicsSettings::new(Ensemble::Csvr { temperature: 40.0, time: 50.0 }, 5.0);
    let mut dynamics = Dynamics::start(&CRYSTAL, &[&fcc(2, 5.4)], &start(40.0), settings).unwrap();
    let kelvin = temperatures(&mut dynamics, 500, 8_000);
    assert_mean("temperature", &kelvin, 40.0, 0.01, 0.003);
    assert_mean("its variance", &squares(&kelvin, 40.0), 2.0 * 1600.0 / 93.0, 0.15, 0.01);
}

#[test]
fn baths_at_zero_take_all_motion_away() {
    for ensemble in
        [Ensemble::Langevin { temperature: 0.0, friction_time: 50.0 }, Ensemble::Csvr { temperature: 0.0, time: 50.0 }]
    {
        let settings = DynamicsSettings::new(ensemble, 4.0);
        let mut dynamics = Dynamics::start(&CLUSTER, &[&cluster()], &start(20.0), settings).unwrap();
        let last = temperatures(&mut dynamics, 1000, 1)[0];
        assert!(last < 1e-3, "{ensemble:?}: {last} K");
    }
}

#[test]
fn energies_less_what_baths_gave_are_conserved() {
    let crystal = fcc(2, 5.4);
    let runs: [(&System, Ensemble); 2] = [
        (&cluster(), Ensemble::Langevin { temperature: 30.0, friction_time: 100.0 }),
        (&crystal, Ensemble::Csvr { temperature: 30.0, time: 50.0 }),
    ];
    for (system, ensemble) in runs {
        let potential = if system.n_atoms() == 7 { &CLUSTER } else { &CRYSTAL };
        let settings = DynamicsSettings::new(ensemble, 4.0);
        let mut dynamics = Dynamics::start(potential, &[system], &start(5.0), settings).unwrap();
        let first = dynamics.observables(0);
        (0..1500).for_each(|_| dynamics.step().unwrap());
        let last = dynamics.observables(0);
        let scale = BOLTZMANN * 30.0 * dynamics.degrees_of_freedom(0) as f64;
        let given = last.potential + last.kinetic - first.potential - first.kinetic;
        assert!(given > 0.3 * scale, "the bath gave {given} eV");
        assert!((last.conserved - first.conserved).abs() < 0.02 * scale, "{}", last.conserved - first.conserved);
    }
}
