//! Relaxations of clusters to known minima.

use potstill_core::System;
use potstill_core::system::Vec3;
use potstill_simulate::{Optimizer, Relaxation, relax, relax_many};
use rand::{RngExt, SeedableRng};

use super::potentials::{CLUSTER, Watched, argon, cluster};

const BOTH: [Optimizer; 2] = [Optimizer::Fire, Optimizer::Lbfgs];

fn tight(optimizer: Optimizer) -> Relaxation {
    Relaxation { optimizer, fmax: 1e-6, max_steps: 5000, ..Relaxation::default() }
}

#[test]
fn a_pair_finds_its_distance() {
    for optimizer in BOTH {
        let pair = argon(&[[0.0; 3], [2.6, 2.4, 2.0]]);
        let relaxed = relax(&CLUSTER, &pair, &tight(optimizer), &mut |_| ()).unwrap();
        let [a, b] = relaxed.system.positions[..] else { panic!() };
        let distance = (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt();
        assert!(relaxed.converged && relaxed.steps > 3);
        assert!((distance - 2.0_f64.powf(1.0 / 6.0) * 3.4).abs() < 1e-4, "{optimizer:?}: {distance}");
        assert!((relaxed.prediction.energy[0] / -0.0104 - 1.0).abs() < 1e-8);
        assert!(relaxed.largest_force <= 1e-6 && relaxed.largest_stress.is_none());
    }
}

/// Icosahedron of 13 atoms, whose edges are 5 % longer than its radius, disturbed.
fn icosahedron(seed: u64) -> System {
    let golden = 0.5 * (1.0 + 5.0_f64.sqrt());
    let radius = 3.75 / (1.0 + golden * golden).sqrt();
    let mut positions: Vec<Vec3> = vec![[0.0; 3]];
    for (one, other) in [(1.0, golden), (1.0, -golden), (-1.0, golden), (-1.0, -golden)] {
        positions.extend([[0.0, one, other], [one, other, 0.0], [other, 0.0, one]].map(|r| r.map(|x| radius * x)));
    }
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    positions.iter_mut().flatten().for_each(|x| *x += 0.3 * (rng.random::<f64>() - 0.5));
    argon(&positions)
}

#[test]
fn thirteen_atoms_find_the_known_energy() {
    // −44.326801 ε: D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101, 5111 (1997).
    for optimizer in BOTH {
        let relaxed = relax(&CLUSTER, &icosahedron(1), &tight(optimizer), &mut |_| ()).unwrap();
        let energy = relaxed.prediction.energy[0] / 0.0104;
        assert!(relaxed.converged && (energy + 44.326_801).abs() < 2e-6, "{optimizer:?}: {energy}");
    }
}

#[test]
fn fixed_atoms_stay_and_do_not_count() {
    for optimizer in BOTH {
        let fixed = vec![true, true, false, false, false, false, false];
        let system = System { fixed: Some(fixed), ..cluster() };
        let relaxed = relax(&CLUSTER, &system, &tight(optimizer), &mut |_| ()).unwrap();
        assert!(relaxed.converged);
        assert_eq!(relaxed.system.positions[..2], system.positions[..2]);
        let lengths = |i: usize| relaxed.prediction.forces[i].iter().map(|f| f * f).sum::<f64>().sqrt();
        let largest = (2..7).map(lengths).fold(0.0, f64::max);
        assert_eq!(relaxed.largest_force, largest);
        assert!(lengths(0) > 1e-4, "the force on the fixed atom is {}", lengths(0));
    }
    let all = System { fixed: Some(vec![true; 7]), ..cluster() };
    let relaxed = relax(&CLUSTER, &all, &tight(Optimizer::Fire), &mut |_| ()).unwrap();
    assert_eq!((relaxed.steps, relaxed.converged, relaxed.largest_force), (0, true, 0.0));
}

#[test]
fn steps_are_told_and_limited() {
    for optimizer in BOTH {
        let settings = Relaxation { max_steps: 4, max_displacement: 0.05, ..tight(optimizer) };
        let mut told = Vec::new();
        let mut places = Vec::new();
        let relaxed = relax(&CLUSTER, &cluster(), &settings, &mut |step| {
            told.push((step.index, step.step));
            places.push((step.system.positions.clone(), step.energy, step.largest_force));
        })
        .unwrap();
        assert_eq!(told, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]);
        assert_eq!((relaxed.steps, relaxed.converged), (4, false));
        assert_eq!(places[4], (relaxed.system.positions, relaxed.prediction.energy[0], relaxed.largest_force));
        for pair in places.windows(2) {
            let moves = pair[0].0.iter().zip(&pair[1].0);
            let longest = moves.map(|(a, b)| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>()).fold(0.0, f64::max);
            assert!(longest > 0.0 && longest.sqrt() < 0.05 + 1e-12);
        }
    }
    let none = Relaxation { max_steps: 0, ..tight(Optimizer::Fire) };
    let relaxed = relax(&CLUSTER, &cluster(), &none, &mut |_| ()).unwrap();
    assert_eq!((relaxed.steps, relaxed.system.positions), (0, cluster().positions));
}

#[test]
fn many_relax_as_each_would_alone() {
    let systems: Vec<System> =
        (0..6).map(icosahedron).chain([cluster(), argon(&[[0.0; 3], [3.6, 0.0, 0.0]])]).collect();
    let refs: Vec<&System> = systems.iter().collect();
    for optimizer in BOTH {
        let settings = tight(optimizer);
        let alone: Vec<_> = systems.iter().map(|s| relax(&CLUSTER, s, &settings, &mut |_| ()).unwrap()).collect();
        let lengths: Vec<u64> = alone.iter().map(|relaxed| relaxed.steps + 1).collect();
        // Too small for one, two at once, all at once.
        for (batch_atoms, fewest) in
            [(1, lengths.iter().sum()), (26, 0), (10_000, lengths.iter().copied().max().unwrap())]
        {
            let watched = Watched::new(CLUSTER);
            let mut told = vec![0; systems.len()];
            let together =
                relax_many(&watched, &refs, &settings, batch_atoms, &mut |step| told[step.index] += 1).unwrap();
            let together: Vec<_> = together.into_iter().map(Result::unwrap).collect();
            assert_eq!(together, alone);
            assert_eq!(told, lengths);
            let calls = watched.n_calls() as u64;
            assert!(if fewest == 0 { calls < lengths.iter().sum() } else { calls == fewest }, "{calls} calls");
        }
    }
}
