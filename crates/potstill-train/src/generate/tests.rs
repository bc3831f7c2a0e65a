//! With a potential whose statistics are known: independent springs to a lattice.

use potstill_core::system::Vec3;
use potstill_simulate::BOLTZMANN;

use super::*;

/// Each atom on a spring to its place `[2 i, 0, 0]`.
struct Springs {
    /// In eV/Å².
    stiffness: f64,
}

impl Potential for Springs {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn elements(&self) -> &[u8] {
        &[6]
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let mut prediction = Prediction::default();
        for system in systems {
            let mut energy = 0.0;
            for (i, x) in system.positions.iter().enumerate() {
                let d: Vec3 = [x[0] - 2.0 * i as f64, x[1], x[2]];
                let own = 0.5 * self.stiffness * d.iter().map(|c| c * c).sum::<f64>();
                energy += own;
                prediction.atomic_energies.push(own);
                prediction.forces.push(d.map(|c| -self.stiffness * c));
            }
            prediction.energy.push(energy);
        }
        Ok(prediction)
    }
}

fn lattice(n: usize) -> System {
    let positions = (0..n).map(|i| [2.0 * i as f64, 0.0, 0.0]).collect();
    let mut system = System { atomic_numbers: vec![6; n], positions, ..System::default() };
    system.metadata.insert("name".to_owned(), Value::Text("chain".to_owned()));
    system
}

const SPRINGS: Springs = Springs { stiffness: 2.0 };

fn make(method: &Method, n: usize, limits: Limits) -> (Vec<System>, Rejected) {
    generate(&SPRINGS, (&[lattice(20)], 0..1), method, n, &limits, 1, &|_| {}).unwrap()
}

#[test]
fn rattled_atoms_have_the_spread_and_the_labels() {
    let (systems, rejected) = make(&Method::Rattle(Rattle { std: 0.1 }), 50, Limits::default());
    assert_eq!((systems.len(), rejected.total()), (50, 0));
    let moves = systems.iter().flat_map(|s| s.positions.iter().map(|x| x[1]));
    let variance = moves.map(|y| y * y).sum::<f64>() / 1000.0;
    assert!((variance.sqrt() - 0.1).abs() < 0.01, "{variance}");
    for system in &systems {
        let truth = SPRINGS.evaluate(&[system]).unwrap();
        assert_eq!((system.energy, system.forces.as_ref()), (Some(truth.energy[0]), Some(&truth.forces)));
        assert_eq!(system.metadata["generated_by"], Value::Text("rattle".to_owned()));
        assert_eq!(system.metadata["seed_name"], Value::Text("chain".to_owned()));
    }
}

#[test]
fn dynamics_have_the_temperature() {
    let md = Dynamics { temperature: 300.0, timestep: 1.0, friction_time: 50.0, equilibration: 500, interval: 20 };
    let (systems, rejected) = make(&Method::Dynamics(md), 400, Limits::default());
    assert_eq!((systems.len(), rejected.total()), (400, 0));
    // Equipartition: half k_B T in each of 60 directions.
    let mean = systems.iter().filter_map(|s| s.energy).sum::<f64>() / 400.0;
    let wanted = 30.0 * BOLTZMANN * 300.0;
    assert!((mean / wanted - 1.0).abs() < 0.1, "{mean} eV instead of {wanted}");
    assert_eq!(systems[0].metadata["time_fs"], Value::Real(520.0));
}

#[test]
fn relaxation_goes_downhill_and_the_temperature_decides() {
    let rattle = Rattle { std: 0.1 };
    let mean = |systems: &[System]| systems.iter().filter_map(|s| s.energy).sum::<f64>() / systems.len() as f64;
    let hot = |steps| Method::RattleRelax(rattle, Relax { steps, temperature: 1e6 });
    let (as_is, relaxed) = (make(&hot(0), 50, Limits::default()).0, make(&hot(20), 50, Limits::default()).0);
    assert!(mean(&relaxed) < 0.6 * mean(&as_is), "{} and {}", mean(&relaxed), mean(&as_is));
    let cold = Method::RattleRelax(rattle, Relax { steps: 0, temperature: 10.0 });
    let (systems, rejected) = make(&cold, 50, Limits::default());
    assert_eq!((systems.len(), rejected.boltzmann), (0, 50));
}

/// The springs, with a virial of −2 eV in every direction.
struct Pulled;

impl Potential for Pulled {
    fn cutoff(&self) -> f64 {
        SPRINGS.cutoff()
    }

    fn elements(&self) -> &[u8] {
        SPRINGS.elements()
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let virial = [[-2.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, -2.0]];
        Ok(Prediction { virial: Some(vec![virial; systems.len()]), ..SPRINGS.evaluate(systems)? })
    }
}

#[test]
fn stresses_of_the_teacher_are_labels_too() {
    let cell = [[10.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]];
    let crystal = System { cell: Some(cell), pbc: [true; 3], ..lattice(4) };
    let md = Dynamics { temperature: 10.0, timestep: 1.0, friction_time: 50.0, equilibration: 2, interval: 2 };
    let rattle = Rattle { std: 0.01 };
    let relax = Relax { steps: 1, temperature: 1e9 };
    for method in [Method::Rattle(rattle), Method::RattleRelax(rattle, relax), Method::Dynamics(md)] {
        let limits = Limits { min_distance: 0.1, ..Limits::default() };
        let (made, _) =
            generate(&Pulled, (std::slice::from_ref(&crystal), 0..1), &method, 2, &limits, 1, &|_| {}).unwrap();
        assert_eq!(made.len(), 2);
        // Two eV over 40 Å³, in tension.
        assert!(made.iter().all(|system| system.stress.is_some_and(|s| (s[0][0] - 0.05).abs() < 1e-12)), "{method:?}");
    }
    let (labelled, _) = label(&Pulled, std::slice::from_ref(&crystal), &Limits::default()).unwrap();
    assert!(labelled[0].stress.is_some());
    let (free, _) = label(&Pulled, &[lattice(4)], &Limits::default()).unwrap();
    assert_eq!(free[0].stress, None);
}

#[test]
fn limits_throw_away_and_count() {
    let method = Method::Rattle(Rattle { std: 0.3 });
    let near = make(&method, 30, Limits { min_distance: 1.8, ..Limits::default() });
    assert_eq!((near.0.len(), near.1.distance), (0, 30));
    let strong = make(&method, 30, Limits { max_force: 0.1, ..Limits::default() });
    assert_eq!((strong.0.len(), strong.1.force), (0, 30));
    let high = make(&method, 30, Limits { max_energy_rise: 1e-3, ..Limits::default() });
    assert_eq!((high.0.len(), high.1.energy), (0, 30));
}

#[test]
fn fixed_atoms_stay_and_seeds_repeat() {
    let mut system = lattice(4);
    system.fixed = Some(vec![true, false, true, false]);
    let md = Dynamics { temperature: 300.0, timestep: 1.0, friction_time: 50.0, equilibration: 10, interval: 5 };
    for method in [Method::Rattle(Rattle { std: 0.1 }), Method::Dynamics(md)] {
        let run = |seed| {
            generate(&SPRINGS, (std::slice::from_ref(&system), 0..1), &method, 3, &Limits::default(), seed, &|_| {})
        };
        let (made, _) = run(1).unwrap();
        for copy in &made {
            assert_eq!(copy.positions[0], system.positions[0]);
            assert_ne!(copy.positions[1], system.positions[1]);
        }
        assert_eq!(made, run(1).unwrap().0);
        assert_ne!(made, run(2).unwrap().0);
    }
}

#[test]
fn senseless_settings_are_named() {
    let bad = Method::Rattle(Rattle { std: -1.0 });
    let error =
        generate(&SPRINGS, (&[lattice(2)], 0..1), &bad, 1, &Limits::default(), 0, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("std") && error.contains("-1"), "{error}");
}

/// Molecules that do not feel each other and hold together by springs, all of the same length, between neighbours in the list.
struct Chains;

impl Potential for Chains {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn elements(&self) -> &[u8] {
        &[6]
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let mut prediction = Prediction::default();
        for system in systems {
            let mut forces = vec![[0.0; 3]; system.n_atoms()];
            let mut energy = 0.0;
            for pair in (0..system.n_atoms()).step_by(2) {
                let [a, b] = [system.positions[pair], system.positions[pair + 1]];
                let d: Vec3 = std::array::from_fn(|c| b[c] - a[c]);
                let r = d.iter().map(|c| c * c).sum::<f64>().sqrt();
                energy += 20.0 * (r - 1.5).powi(2);
                for c in 0..3 {
                    forces[pair][c] += 40.0 * (r - 1.5) * d[c] / r;
                    forces[pair + 1][c] -= 40.0 * (r - 1.5) * d[c] / r;
                }
            }
            prediction.energy.push(energy);
            prediction.atomic_energies.extend(vec![0.0; system.n_atoms()]);
            prediction.forces.extend(forces);
        }
        Ok(prediction)
    }
}

#[test]
fn molecules_that_collide_move_as_their_energy_says() {
    let seed = |name: &str| {
        let mut system =
            System { atomic_numbers: vec![6; 2], positions: vec![[0.0; 3], [1.5, 0.0, 0.0]], ..System::default() };
        system.metadata.insert("name".to_owned(), Value::Text(name.to_owned()));
        system
    };
    let seeds = [seed("one"), seed("other")];
    let collision = Collision {
        temperature: 1e-6,
        energy: [1.0, 3.0],
        impact_parameter: 1.0,
        gap: 3.0,
        timestep: 0.25,
        interval: 4,
        snapshots: 3,
    };
    let method = Method::Collision(collision);
    let limits = Limits::default();
    let (systems, rejected) = generate(&Chains, (&seeds, 0..seeds.len()), &method, 7, &limits, 5, &|_| {}).unwrap();
    assert_eq!((systems.len(), rejected.total()), (14, 0));
    let real = |system: &System, key: &str| match system.metadata[key] {
        Value::Real(value) => value,
        _ => panic!("{key}"),
    };
    for system in &systems {
        // Nothing acts between them: the centres approach with the speed of the collision energy.
        let energy = real(system, "collision_energy_eV");
        assert!((1.0..3.0).contains(&energy) && real(system, "impact_parameter_A") <= 1.0);
        let centre = |k: usize| 0.5 * (system.positions[k][0] + system.positions[k + 1][0]);
        let partner = match system.metadata["partner_system"] {
            Value::Int(partner) => partner,
            _ => panic!("partner"),
        };
        assert!((0..2).contains(&partner) && system.metadata["generated_by"] == Value::Text("collide".to_owned()));
        let first =
            systems.iter().find(|s| s.metadata["collision_energy_eV"] == system.metadata["collision_energy_eV"]);
        let first = first.unwrap();
        let centre_then = |k: usize| 0.5 * (first.positions[k][0] + first.positions[k + 1][0]);
        let time = real(system, "time_fs") - real(first, "time_fs");
        // Two molecules of two carbon atoms: the reduced mass is 12.011 u.
        let speed = (2.0 * energy * potstill_simulate::ACCELERATION / 12.011).sqrt();
        let approached = (centre_then(2) - centre_then(0)) - (centre(2) - centre(0));
        assert!((approached - speed * time).abs() < 1e-3, "{approached} {}", speed * time);
    }
    let again = generate(&Chains, (&seeds, 0..seeds.len()), &method, 7, &limits, 5, &|_| {}).unwrap().0;
    assert_eq!(again, systems);

    let periodic =
        System { cell: Some([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]), pbc: [true; 3], ..seed("c") };
    let error = generate(&Chains, (&[periodic], 0..1), &method, 1, &limits, 5, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("a periodic system cannot collide"), "{error}");
    let wrong = Method::Collision(Collision { energy: [3.0, 1.0], ..collision });
    let error = generate(&Chains, (&seeds, 0..seeds.len()), &wrong, 1, &limits, 5, &|_| {}).unwrap_err().to_string();
    assert!(error.starts_with("min_collision_energy: is 3, above"), "{error}");
}
