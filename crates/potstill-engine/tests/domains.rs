//! A system in parts, as processes of a simulation have it, is the system itself.

#[path = "support/parts.rs"]
mod parts;
mod support;

use potstill_core::graph::Neighbors;
use potstill_core::model::{Architecture, Forces, PaiNNConfig, SchNetConfig};
use potstill_core::{Potential, System};
use potstill_engine::domain::{Domain, DomainPrediction, NoGhosts};
use potstill_engine::{Engine, FilterChoice, Number};
use potstill_testkit::systems::{crystal, molecule};
use proptest::prelude::*;

use self::parts::{Copies, Together, cut, evaluate};
use self::support::save;

const CUTOFF: f64 = 3.0;
/// Lists reach farther than the cutoff, as those of a simulation do.
const REACH: f64 = 3.6;

fn painn(forces: Forces) -> Architecture {
    Architecture::PaiNN(PaiNNConfig {
        hidden_channels: 12,
        n_layers: 3,
        n_radial: 6,
        cutoff: CUTOFF,
        forces,
        ..PaiNNConfig::default()
    })
}

fn schnet() -> Architecture {
    Architecture::SchNet(SchNetConfig {
        hidden_channels: 12,
        n_filters: 10,
        n_interactions: 3,
        n_gaussians: 6,
        cutoff: CUTOFF,
        ..SchNetConfig::default()
    })
}

/// An engine of a model with random weights and a mean energy, of which every atom has its share.
fn engine<T: Number>(architecture: Architecture) -> Engine<T> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    save(&path, architecture, 0.4);
    Engine::load(&path, FilterChoice::Exact).unwrap()
}

/// Part of each atom: slabs of uneven thickness, some of which may be empty.
fn slabs(system: &System, n_parts: usize) -> Vec<usize> {
    let x = |atom: usize| system.positions[atom][0] + 0.3 * system.positions[atom][1];
    let all = (0..system.n_atoms()).map(x);
    let (low, high) = all.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let place = |x: f64| ((x - low) / (high - low).max(1e-9)).powf(1.5) * n_parts as f64;
    all.map(|x| (place(x) as usize).min(n_parts - 1)).collect()
}

/// Largest deviation of the parts together from the whole, relative to the size of what is compared.
fn deviation<T: Number>(engine: &Engine<T>, system: &System, together: &Together) -> f64 {
    let whole = engine.evaluate(&[system]).unwrap();
    let far = |a: &[f64], b: &[f64]| {
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
        norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied()).max(1e-3)
    };
    let energy: f64 = together.atomic_energies.iter().sum();
    let size: f64 = whole.atomic_energies.iter().map(|e| e.abs()).sum();
    let mut worst = ((energy - whole.energy[0]).abs() / size)
        .max(far(&together.atomic_energies, &whole.atomic_energies))
        .max(far(together.forces.as_flattened(), whole.forces.as_flattened()));
    assert_eq!(together.virial.is_some(), whole.virial.is_some());
    if let (Some(own), Some(virials)) = (&together.virial, &whole.virial) {
        worst = worst.max(far(own.as_flattened(), virials[0].as_flattened()));
        worst = worst.max(far(together.atomic_virials.as_flattened(), virials[0].as_flattened()));
    }
    worst
}

fn systems() -> Vec<System> {
    vec![
        molecule(1, 1),
        molecule(30, 2),
        // A triclinic cell that is thinner than the cutoff: atoms see their own images.
        crystal(2, [true; 3], 3),
        crystal(24, [true; 3], 4),
        crystal(17, [true, false, true], 5),
    ]
}

fn check<T: Number>(architecture: &Architecture, limit: f64) {
    let engine = engine::<T>(architecture.clone());
    for system in systems() {
        for n_parts in [1, 2, 3, 8] {
            for copies in [Copies::ShareRows, Copies::HaveRows] {
                let parts = cut(&system, &slabs(&system, n_parts), n_parts, REACH, copies);
                let deviation = deviation(&engine, &system, &evaluate(&engine, &parts, system.n_atoms()));
                assert!(deviation < limit, "{} atoms, {n_parts} parts, {copies:?}: {deviation:e}", system.n_atoms());
            }
        }
    }
}

#[test]
fn parts_of_a_system_are_the_system() {
    for architecture in [painn(Forces::Gradient), painn(Forces::Direct), schnet()] {
        check::<f64>(&architecture, 1e-10);
        check::<f32>(&architecture, 1e-6);
    }
}

#[test]
fn the_same_in_less_memory() {
    let system = crystal(24, [true; 3], 4);
    let engine = engine::<f64>(painn(Forces::Gradient)).save_at_most(0);
    let parts = cut(&system, &slabs(&system, 3), 3, REACH, Copies::ShareRows);
    let deviation = deviation(&engine, &system, &evaluate(&engine, &parts, system.n_atoms()));
    assert!(deviation < 1e-10, "{deviation:e}");
}

#[test]
fn what_is_exchanged_is_what_the_design_says() {
    let system = crystal(24, [true; 3], 4);
    // Numbers for each ghost: padded rows of 16; PaiNN 6 rows forward from the second layer on, 4 back; SchNet one each way.
    for (architecture, rows) in
        [(painn(Forces::Gradient), 2 * 6 + 3 * 4), (painn(Forces::Direct), 2 * 6), (schnet(), 6)]
    {
        let engine = engine::<f32>(architecture);
        let parts = cut(&system, &slabs(&system, 2), 2, REACH, Copies::ShareRows);
        let together = evaluate(&engine, &parts, system.n_atoms());
        assert!(together.n_ghosts > 0);
        assert_eq!(together.received, together.n_ghosts * rows * 16);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_partition_will_do(n in 1_usize..16, seed in 0_u64..1000, pbc in any::<[bool; 3]>(), n_parts in 1_usize..6, of in proptest::collection::vec(0_usize..6, 16)) {
        let system = crystal(n, pbc, seed);
        let engine = engine::<f64>(painn(Forces::Gradient));
        let part_of: Vec<usize> = (0..n).map(|atom| of[atom] % n_parts).collect();
        let parts = cut(&system, &part_of, n_parts, REACH, Copies::ShareRows);
        let deviation = deviation(&engine, &system, &evaluate(&engine, &parts, n));
        prop_assert!(deviation < 1e-10, "{:e}", deviation);
    }
}

#[test]
fn what_is_wrong_is_said() {
    let lists: [&[u32]; 2] = [&[1], &[0]];
    for (numbers, rows, expected) in [
        (vec![6, 6], vec![0], "2 atomic numbers and 1 rows of points, for 2 own atoms"),
        (vec![6], vec![0], "1 atomic numbers and 1 rows of points, for 2 own atoms"),
        (vec![6, 6], vec![1, 0], "own atom 0 has row 1"),
        (vec![6, 6, 8], vec![0, 1, 0], "row 0 has atomic numbers 6 and 8"),
        (vec![6, 6, 6, 8], vec![0, 1, 2, 2], "row 2 has atomic numbers 6 and 8"),
        (vec![6, 6, 6], vec![0, 1, 3], "some of the rows 2 to 4 belong to no ghost"),
    ] {
        let error = Domain::new(&numbers, rows, lists).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let beyond: [&[u32]; 1] = [&[2]];
    let error = Domain::new(&[6, 6], vec![0, 1], beyond).unwrap_err().to_string();
    assert!(error.contains("a neighbour is point 2 of 2"), "{error}");

    let engine = engine::<f32>(painn(Forces::Gradient));
    let say = |engine: &Engine<f32>, numbers: &[u8], positions: &[[f64; 3]]| {
        let domain = Domain::new(numbers, vec![0, 1], lists).unwrap();
        let mut out = DomainPrediction::default();
        engine.evaluate_domain((&domain, positions), 2, &mut NoGhosts, false, &mut out).unwrap_err().to_string()
    };
    let far = [1.2, 0.0, 0.0];
    for (numbers, positions, expected) in [
        ([6, 79], vec![[0.0; 3], far], "element Au is not among those of the model (H, C, N, O)"),
        ([6, 6], vec![[0.0; 3]], "1 positions for 2 points"),
        ([6, 6], vec![[0.0; 3], [0.0; 3]], "atoms 0 and 1 are at one place"),
        ([6, 6], vec![[0.0; 3], [f64::NAN, 0.0, 0.0]], "position of atom 1 is [NaN, 0.0, 0.0] Å; it must be finite"),
        ([6, 6], vec![[f64::INFINITY, 0.0, 0.0], far], "position of atom 0 is [inf, 0.0, 0.0] Å; it must be finite"),
    ] {
        let error = say(&engine, &numbers, &positions);
        assert!(error.contains(expected), "{error}");
    }
    let nearest =
        PaiNNConfig { neighbors: Neighbors::Nearest(6), hidden_channels: 4, n_layers: 1, ..PaiNNConfig::default() };
    let engine = self::engine::<f32>(Architecture::PaiNN(nearest));
    assert!(say(&engine, &[6, 6], &[[0.0; 3], far]).contains("the model sees the nearest few neighbours"));
}
