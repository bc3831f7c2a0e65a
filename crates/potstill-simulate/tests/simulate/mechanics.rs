//! Mechanics: what velocity Verlet keeps, what is taken away at the start, and what is counted.

use potstill_core::system::{Column, Vec3, cross};
use potstill_core::{Potential, System};
use potstill_simulate::{ACCELERATION, Dynamics, DynamicsSettings, Ensemble, Langevin, Start, State, velocity_verlet};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::potentials::{CLUSTER, CRYSTAL, LennardJones, Springs, Watched, argon, cluster, fcc};

const LANGEVIN: Ensemble = Ensemble::Langevin { temperature: 50.0, friction_time: 200.0 };
const CSVR: Ensemble = Ensemble::Csvr { temperature: 50.0, time: 100.0 };

fn free(ensemble: Ensemble, timestep: f64) -> DynamicsSettings {
    DynamicsSettings { remove_drift: false, remove_rotation: false, ..DynamicsSettings::new(ensemble, timestep) }
}

fn start(kelvin: f64) -> Start {
    Start { temperature: kelvin, exact: true }
}

fn largest(a: &[Vec3], b: &[Vec3]) -> f64 {
    a.iter().flatten().zip(b.iter().flatten()).fold(0.0, |most, (x, y)| most.max((x - y).abs()))
}

#[test]
fn verlet_runs_backward() {
    let mut forth =
        Dynamics::start(&CLUSTER, &[&cluster()], &start(20.0), DynamicsSettings::new(Ensemble::Nve, 4.0)).unwrap();
    let first = forth.states()[0].clone();
    (0..250).for_each(|_| forth.step().unwrap());
    let mut turned = forth.states()[0].clone();
    assert!(largest(&turned.system.positions, &first.system.positions) > 0.1);
    turned.scale_velocities(-1.0);
    let mut back = Dynamics::new(&CLUSTER, vec![turned], free(Ensemble::Nve, 4.0)).unwrap();
    (0..250).for_each(|_| back.step().unwrap());
    assert!(largest(&back.states()[0].system.positions, &first.system.positions) < 1e-9);
}

#[test]
fn verlet_is_of_second_order() {
    // One atom on a spring: x = cos(ω t).
    let springs = Springs { stiffness: 1.0 };
    let frequency = (ACCELERATION / 39.95).sqrt();
    let error = |n_steps: u32| {
        let state = State::at_rest(&argon(&[[1.0, 0.0, 0.0]])).unwrap();
        let mut dynamics =
            Dynamics::new(&springs, vec![state], free(Ensemble::Nve, 300.0 / f64::from(n_steps))).unwrap();
        (0..n_steps).for_each(|_| dynamics.step().unwrap());
        dynamics.states()[0].system.positions[0][0] - (frequency * 300.0).cos()
    };
    let (coarse, fine) = (error(40), error(80));
    assert!(coarse.abs() > 1e-4 && (coarse / fine - 4.0).abs() < 0.05, "{coarse:e} {fine:e}");
}

#[test]
fn constant_energy_is_constant_to_second_order() {
    let spread = |timestep: f64| {
        let settings = DynamicsSettings::new(Ensemble::Nve, timestep);
        let mut dynamics = Dynamics::start(&CLUSTER, &[&cluster()], &start(20.0), settings).unwrap();
        let first = dynamics.observables(0);
        assert_eq!((first.step, first.pressure, first.volume), (0, None, None));
        let mut worst = 0.0_f64;
        for _ in 0..(8000.0 / timestep) as usize {
            dynamics.step().unwrap();
            let now = dynamics.observables(0);
            assert_eq!(now.conserved, now.potential + now.kinetic);
            worst = worst.max((now.conserved - first.conserved).abs());
        }
        worst
    };
    let (coarse, fine) = (spread(8.0), spread(4.0));
    // Kinetic energy is 13 meV.
    assert!(fine < 5e-5 && (3.0..5.5).contains(&(coarse / fine)), "{coarse:e} {fine:e}");
}

#[test]
fn steps_are_those_of_the_integrators() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let state = State::thermal(&cluster(), 20.0, &mut rng).unwrap();
    let mut dynamics = Dynamics::new(&CLUSTER, vec![state.clone()], free(Ensemble::Nve, 2.0)).unwrap();
    let (mut by_hand, mut now) = (state.clone(), CLUSTER.evaluate(&[&state.system]).unwrap());
    for _ in 0..20 {
        dynamics.step().unwrap();
        now = velocity_verlet(&mut by_hand, &now.forces, 2.0, &CLUSTER).unwrap();
    }
    assert_eq!((&dynamics.states()[0], dynamics.prediction()), (&by_hand, &now));

    let settings = DynamicsSettings { seed: 7, ..free(LANGEVIN, 2.0) };
    let mut dynamics = Dynamics::new(&CLUSTER, vec![state.clone()], settings).unwrap();
    let (mut by_hand, mut now) = (state.clone(), CLUSTER.evaluate(&[&state.system]).unwrap());
    let (bath, mut rng) =
        (Langevin { temperature: 50.0, timestep: 2.0, friction_time: 200.0 }, ChaCha8Rng::seed_from_u64(7));
    for _ in 0..20 {
        dynamics.step().unwrap();
        bath.advance(&mut by_hand, &now.forces, &mut rng);
        now = CLUSTER.evaluate(&[&by_hand.system]).unwrap();
        by_hand.half_kick(&now.forces, 2.0);
    }
    assert_eq!(dynamics.states()[0], by_hand);
}

#[test]
fn every_step_is_one_batch() {
    let watched = Watched::new(CLUSTER);
    let systems = [&cluster(), &argon(&[[0.0; 3], [3.8, 0.0, 0.0]]), &cluster()];
    let mut dynamics = Dynamics::start(&watched, &systems, &start(20.0), DynamicsSettings::new(CSVR, 2.0)).unwrap();
    (0..10).for_each(|_| dynamics.step().unwrap());
    assert_eq!((watched.n_calls(), dynamics.step_count()), (11, 10));
    assert_eq!(dynamics.observables(1).time, 20.0);
    let alone = CLUSTER.evaluate(&[&dynamics.states()[1].system]).unwrap();
    assert_eq!(dynamics.prediction_of(1), alone);
}

/// Momentum in u·Å/fs and angular momentum about the centre of mass in u·Å²/fs.
fn momenta(state: &State) -> (Vec3, Vec3) {
    let centre = state.mass_weighted_mean(&state.system.positions);
    let (mut linear, mut angular) = ([0.0; 3], [0.0; 3]);
    for ((r, v), m) in state.system.positions.iter().zip(&state.velocities).zip(&state.masses) {
        let turn = cross(std::array::from_fn(|c| r[c] - centre[c]), *v);
        (0..3).for_each(|c| (linear[c], angular[c]) = (linear[c] + m * v[c], angular[c] + m * turn[c]));
    }
    (linear, angular)
}

fn is_zero(v: Vec3) -> bool {
    v.iter().all(|x| x.abs() < 1e-11)
}

#[test]
fn drift_and_rotation_go_and_stay_away() {
    let settings = DynamicsSettings::new(Ensemble::Nve, 4.0);
    let mut dynamics = Dynamics::start(&CLUSTER, &[&cluster()], &start(20.0), settings).unwrap();
    for _ in 0..100 {
        let (linear, angular) = momenta(&dynamics.states()[0]);
        assert!(is_zero(linear) && is_zero(angular), "{linear:?} {angular:?}");
        dynamics.step().unwrap();
    }
    let dynamics = Dynamics::start(&CLUSTER, &[&cluster()], &start(20.0), free(Ensemble::Nve, 4.0)).unwrap();
    let (linear, angular) = momenta(&dynamics.states()[0]);
    assert!(!is_zero(linear) && !is_zero(angular));
    // A rigid rotation is taken away as a whole.
    let mut state = State::at_rest(&cluster()).unwrap();
    state.velocities = state.system.positions.iter().map(|r| cross([0.01, -0.02, 0.03], *r)).collect();
    state.remove_drift();
    assert_eq!(state.remove_rotation(), 3);
    assert!(state.kinetic_energy() < 1e-25);
}

#[test]
fn linear_molecules_and_single_atoms_have_fewer_rotations() {
    let chain = argon(&[[0.0; 3], [2.0, 2.0, 1.0], [4.0, 4.0, 2.0]]);
    let mut state = State::thermal(&chain, 100.0, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    state.remove_drift();
    assert_eq!(state.remove_rotation(), 2);
    let (linear, angular) = momenta(&state);
    assert!(is_zero(linear) && is_zero(angular) && state.kinetic_energy() > 0.0);
    let mut atom = State::thermal(&argon(&[[1.0, 2.0, 3.0]]), 100.0, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    let before = atom.clone();
    assert_eq!(atom.remove_rotation(), 0);
    assert_eq!(atom, before);
}

#[test]
fn degrees_of_freedom_are_those_that_have_a_temperature() {
    let fixed = System { fixed: Some(vec![true, false, false, false, false, false, true]), ..cluster() };
    let chain = argon(&[[0.0; 3], [2.0, 2.0, 1.0], [4.0, 4.0, 2.0]]);
    let single = argon(&[[0.0; 3]]);
    let crystal = fcc(2, 5.3);
    let of = |potential: &dyn Potential, system: &System, settings: DynamicsSettings| {
        let dynamics = Dynamics::start(potential, &[system], &start(30.0), settings).unwrap();
        let n = dynamics.degrees_of_freedom(0);
        let kelvin = dynamics.observables(0).temperature;
        assert!(n == 0 && kelvin == 0.0 || (kelvin - 30.0).abs() < 1e-9, "{kelvin} K");
        n
    };
    let usual = |ensemble| DynamicsSettings::new(ensemble, 1.0);
    assert_eq!(of(&CLUSTER, &cluster(), usual(Ensemble::Nve)), 15);
    assert_eq!(of(&CLUSTER, &cluster(), usual(CSVR)), 15);
    assert_eq!(of(&CLUSTER, &cluster(), usual(LANGEVIN)), 21);
    assert_eq!(of(&CLUSTER, &cluster(), free(Ensemble::Nve, 1.0)), 21);
    assert_eq!(of(&CLUSTER, &cluster(), DynamicsSettings { remove_rotation: false, ..usual(CSVR) }), 18);
    assert_eq!(of(&CLUSTER, &fixed, usual(Ensemble::Nve)), 15);
    assert_eq!(of(&CLUSTER, &chain, usual(Ensemble::Nve)), 4);
    assert_eq!(of(&CLUSTER, &single, usual(Ensemble::Nve)), 0);
    assert_eq!(of(&CRYSTAL, &crystal, usual(CSVR)), 93);
    // Nothing says that direct forces add up to zero.
    assert_eq!(of(&Watched::direct(CLUSTER), &cluster(), usual(CSVR)), 21);
}

#[test]
fn fixed_atoms_never_move() {
    let fixed = vec![true, false, false, true, false, false, false];
    let system = System { fixed: Some(fixed.clone()), ..cluster() };
    for ensemble in [Ensemble::Nve, LANGEVIN, CSVR] {
        let mut state = State::thermal(&system, 50.0, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        state.velocities[0] = [1.0; 3];
        let mut dynamics = Dynamics::new(&CLUSTER, vec![state], DynamicsSettings::new(ensemble, 2.0)).unwrap();
        (0..50).for_each(|_| dynamics.step().unwrap());
        let now = &dynamics.states()[0].system;
        for (atom, is_fixed) in fixed.iter().enumerate() {
            assert_eq!(now.positions[atom] == system.positions[atom], *is_fixed, "{ensemble:?}, atom {atom}");
        }
    }
}

#[test]
fn labels_of_the_start_are_forgotten() {
    let mut system = System { energy: Some(1.0), forces: Some(vec![[0.0; 3]; 7]), ..cluster() };
    system.columns.insert("momenta".to_owned(), Column::real(vec![0.0; 7]));
    system.columns.insert("masses".to_owned(), Column::real(vec![40.0; 7]));
    let dynamics = Dynamics::start(&CLUSTER, &[&system], &start(20.0), free(Ensemble::Nve, 1.0)).unwrap();
    let kept = &dynamics.states()[0].system;
    assert_eq!((kept.energy, kept.forces.as_ref(), kept.columns.len()), (None, None, 1));
}

#[test]
fn pressure_is_the_derivative_of_the_energy() {
    // Kinetic energy aside, P = −dE/dV.
    let pressure = |potential: &LennardJones, a: f64| {
        let state = State::at_rest(&fcc(2, a)).unwrap();
        let dynamics = Dynamics::new(potential, vec![state], free(Ensemble::Nve, 1.0)).unwrap();
        let now = dynamics.observables(0);
        (now.potential, now.volume.unwrap(), now.pressure.unwrap())
    };
    let (lower, here, upper) = (pressure(&CRYSTAL, 5.1999), pressure(&CRYSTAL, 5.2), pressure(&CRYSTAL, 5.2001));
    let slope = -(upper.0 - lower.0) / (upper.1 - lower.1);
    assert!((here.1 - 10.4_f64.powi(3)).abs() < 1e-9 && slope.abs() > 1e-4);
    assert!((here.2 / slope - 1.0).abs() < 1e-5, "{} {slope}", here.2);
    // In a moving gas without forces it is N kT / V with the temperature of the internal motion.
    let gas = super::potentials::gas(27, 30.0);
    let ideal = super::potentials::ElasticBox { side: 30.0, stiffness: 0.0 };
    let dynamics = Dynamics::start(&ideal, &[&gas], &start(300.0), DynamicsSettings::new(Ensemble::Nve, 1.0)).unwrap();
    let wanted = 27.0 * super::potentials::KT_300 / 27_000.0;
    assert!((dynamics.observables(0).pressure.unwrap() / wanted - 1.0).abs() < 1e-12);
}
