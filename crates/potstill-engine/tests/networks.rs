//! The engine says what the networks say, and keeps the same laws.
#![allow(clippy::print_stdout, reason = "a test tells what it found")]

mod support;

use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_core::graph::Neighbors;
use potstill_core::model::{Architecture, EnvelopeKind, Forces, GemNetOCConfig, PaiNNConfig, RadialKind, SchNetConfig};
use potstill_core::{Potential, Prediction, System};
use potstill_engine::{Engine, FilterChoice, Number};
use potstill_nn::Model;
use potstill_testkit::conformance::{Exception, Law, check};
use potstill_testkit::systems::{crystal, molecule};

use self::support::save;

const CUTOFF: f64 = 4.0;
const EXACT: FilterChoice = FilterChoice::Exact;

fn schnet(hidden_channels: usize, n_filters: usize, neighbors: Neighbors) -> Architecture {
    Architecture::SchNet(SchNetConfig {
        hidden_channels,
        n_filters,
        n_interactions: 3,
        n_gaussians: 8,
        cutoff: CUTOFF,
        neighbors,
    })
}

fn painn(hidden_channels: usize) -> PaiNNConfig {
    PaiNNConfig { hidden_channels, n_layers: 3, n_radial: 8, cutoff: CUTOFF, ..PaiNNConfig::default() }
}

/// Every kind of network that the engine runs, with widths that fill registers and widths that do not.
fn architectures() -> Vec<(&'static str, Architecture)> {
    let of = Architecture::PaiNN;
    vec![
        ("SchNet", schnet(12, 10, Neighbors::All)),
        ("SchNet of whole registers", schnet(32, 16, Neighbors::All)),
        ("SchNet, nearest", schnet(12, 18, Neighbors::Nearest(6))),
        ("PaiNN", of(painn(12))),
        ("PaiNN of whole registers", of(PaiNNConfig { n_layers: 1, ..painn(16) })),
        ("PaiNN, wide", of(PaiNNConfig { update_scales: vec![0.9, 1.1, 1.2], ..painn(34) })),
        ("PaiNN, Bessel", of(PaiNNConfig { radial_basis: RadialKind::SphericalBessel, ..painn(12) })),
        ("PaiNN, Bernstein", of(PaiNNConfig { radial_basis: RadialKind::Bernstein, ..painn(12) })),
        ("PaiNN, exponential", of(PaiNNConfig { envelope: EnvelopeKind::Exponential, ..painn(12) })),
        ("PaiNN, reference cutoff", of(PaiNNConfig { smooth_cutoff: false, ..painn(12) })),
        ("PaiNN, nearest", of(PaiNNConfig { neighbors: Neighbors::Nearest(6), ..painn(12) })),
        ("PaiNN, direct", of(PaiNNConfig { forces: Forces::Direct, ..painn(20) })),
        (
            "PaiNN, direct, nearest",
            of(PaiNNConfig { forces: Forces::Direct, neighbors: Neighbors::Nearest(6), ..painn(12) }),
        ),
    ]
}

fn systems() -> Vec<System> {
    let lone = System { atomic_numbers: vec![8], positions: vec![[0.3, 0.1, -2.0]], ..System::default() };
    let mut all = vec![lone, crystal(3, [true; 3], 5), crystal(7, [true, false, true], 6)];
    all.extend((0..4).map(|k| molecule(4 + 9 * k, 40 + k as u64)));
    all
}

/// Largest deviations: energies in eV per atom (or as a part of an atom's where these are above 1 eV), forces and virials relative to their size.
fn deviations(systems: &[System], found: &Prediction, wanted: &Prediction) -> [f64; 3] {
    let far = |a: &[f64], b: &[f64]| {
        assert_eq!(a.len(), b.len());
        let square = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
        (square(&mut a.iter().zip(b).map(|(a, b)| a - b)) / square(&mut b.iter().copied()).max(1e-300)).sqrt()
    };
    let virial = match (&found.virial, &wanted.virial) {
        (Some(a), Some(b)) => far(a.as_flattened().as_flattened(), b.as_flattened().as_flattened()),
        (a, b) => f64::from(u8::from(a.is_some() != b.is_some())),
    };
    let energies = systems.iter().zip(found.energy.iter().zip(&wanted.energy));
    let size = wanted.atomic_energies.iter().map(|e| e.abs()).sum::<f64>() / wanted.atomic_energies.len() as f64;
    let worst =
        energies.map(|(system, (a, b))| (a - b).abs() / system.n_atoms() as f64).fold(0.0, f64::max) / size.max(1.0);
    let atomic = far(&found.atomic_energies, &wanted.atomic_energies);
    assert!(atomic < 3e-6, "energies of atoms differ by {atomic:e} of their size");
    [worst, far(found.forces.as_flattened(), wanted.forces.as_flattened()), virial]
}

fn compare<T: Number>(path: &Path, filters: FilterChoice, wanted: &Prediction, limits: [f64; 3], name: &str) {
    let engine = Engine::<T>::load(path, filters).unwrap();
    let systems = systems();
    let all: Vec<&System> = systems.iter().collect();
    // Twice: the second call works in the memory of the first. And with one thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let first = engine.evaluate(&all).unwrap();
    assert_eq!(first, engine.evaluate(&all).unwrap(), "{name}: the same bits");
    assert_eq!(first, pool.install(|| engine.evaluate(&all).unwrap()), "{name}: the same bits with one thread");
    let lean = Engine::<T>::load(path, filters).unwrap().save_at_most(0).evaluate(&all).unwrap();
    assert_eq!(first, lean, "{name}: the same bits in less memory");
    let found = deviations(&systems, &first, wanted);
    println!("{name:28} {filters:?}: {:.1e} {:.1e} {:.1e}", found[0], found[1], found[2]);
    for (found, limit) in found.into_iter().zip(limits) {
        assert!(found <= limit, "{name}: {found:e} above {limit:e}");
    }
}

#[test]
fn the_engine_agrees_with_the_networks() {
    let place = tempfile::tempdir().unwrap();
    for (name, architecture) in architectures() {
        let path = place.path().join("model.safetensors");
        save(&path, architecture, 0.4);
        let model = Model::load(&path, &Device::flex(), DType::F64).unwrap();
        let systems = systems();
        let wanted = model.evaluate(&systems.iter().collect::<Vec<_>>()).unwrap();
        compare::<f64>(&path, EXACT, &wanted, [1e-10; 3], name);
        compare::<f64>(&path, FilterChoice::Table { accuracy: 1e-8 }, &wanted, [1e-8, 1e-7, 1e-7], name);
        compare::<f32>(&path, EXACT, &wanted, [1e-6, 1e-5, 1e-5], name);
        compare::<f32>(&path, FilterChoice::default(), &wanted, [1e-6, 1e-5, 1e-5], name);
    }
}

#[test]
fn the_engine_keeps_the_laws() {
    let not_gradients = [
        Exception { law: Law::GradientForces, reason: "direct forces are predicted, not derived" },
        Exception { law: Law::GradientVirial, reason: "direct forces have no virial" },
    ];
    let by_index = [
        Exception { law: Law::Permutation, reason: "symmetrisation asks the atom with the higher index" },
        Exception { law: Law::Supercell, reason: "an atom's images get other indices" },
    ];
    let short_sight =
        Exception { law: Law::SmoothCutoff, reason: "the bias of PaiNN's edge filter survives the envelope" };
    let place = tempfile::tempdir().unwrap();
    for (i, (name, architecture)) in architectures().into_iter().enumerate() {
        let path = place.path().join("model.safetensors");
        // A mean that is taken off each system would not be extensive.
        save(&path, architecture, 0.0);
        let mut exceptions = Vec::new();
        if name.contains("direct") {
            exceptions.extend(not_gradients);
        }
        if name.starts_with("PaiNN") && name.contains("nearest") {
            exceptions.extend(by_index);
        }
        if name.contains("reference cutoff") {
            exceptions.push(short_sight);
        }
        for filters in [EXACT, FilterChoice::default()] {
            let engine = Engine::<f64>::load(&path, filters).unwrap();
            // Systems in which the exceptions of the nearest neighbours show.
            let seed = match name {
                "PaiNN, nearest" => 24,
                "PaiNN, direct, nearest" => 16,
                _ => 60 + i as u64,
            };
            check(&format!("{name}, {filters:?}"), &engine, &exceptions, seed);
        }
    }
}

/// Largest difference between the energy along a random line and the integral of the force, in eV per atom (Simpson's rule).
fn work_along_a_line<T: Number>(path: &Path, filters: FilterChoice, seed: u64) -> f64 {
    const STEPS: usize = 400;
    let engine = Engine::<T>::load(path, filters).unwrap();
    let start = molecule(21, seed);
    let direction = molecule(21, seed + 1).positions;
    let (mut energies, mut slopes) = (Vec::new(), Vec::new());
    for step in 0..=STEPS {
        let mut system = start.clone();
        for (position, direction) in system.positions.iter_mut().zip(&direction) {
            (0..3).for_each(|c| position[c] += 0.1 * step as f64 / STEPS as f64 * direction[c]);
        }
        let found = engine.evaluate(&[&system]).unwrap();
        energies.push(found.energy[0]);
        let forces = found.forces.iter().flatten();
        slopes.push(-0.1 * forces.zip(direction.iter().flatten()).map(|(f, d)| f * d).sum::<f64>());
    }
    let mut integral = 0.0;
    let mut worst = 0.0_f64;
    for k in (0..STEPS).step_by(2) {
        integral += (slopes[k] + 4.0 * slopes[k + 1] + slopes[k + 2]) / (3.0 * STEPS as f64);
        worst = worst.max((energies[k + 2] - energies[0] - integral).abs() / 21.0);
    }
    let range = energies.iter().fold((f64::MAX, f64::MIN), |(low, high), &e| (low.min(e), high.max(e)));
    assert!(range.1 - range.0 > 0.05, "the energy changes along the line");
    worst
}

#[test]
fn the_energy_is_the_integral_of_the_force() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    for (name, architecture) in [("SchNet", schnet(32, 16, Neighbors::All)), ("PaiNN", Architecture::PaiNN(painn(12)))]
    {
        save(&path, architecture, 0.0);
        for seed in [11, 12, 13] {
            let exact = work_along_a_line::<f64>(&path, EXACT, seed);
            let table = work_along_a_line::<f64>(&path, FilterChoice::default(), seed);
            let single = work_along_a_line::<f32>(&path, FilterChoice::default(), seed);
            println!("{name} {seed}: {exact:.1e} {table:.1e} {single:.1e} eV per atom");
            assert!(exact < 1e-9 && table < 1e-9 && single < 1e-6, "{name} {seed}: {exact:e} {table:e} {single:e}");
        }
    }
}

#[test]
fn a_trajectory_gives_the_same_bits_with_and_without_a_skin() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    for (architecture, seed) in [
        (Architecture::PaiNN(painn(12)), 3),
        (schnet(12, 10, Neighbors::All), 4),
        (schnet(12, 10, Neighbors::Nearest(5)), 5),
    ] {
        save(&path, architecture, 0.0);
        let load = || Engine::<f64>::load(&path, FilterChoice::default()).unwrap();
        let (with, without) = (load().skin(0.6), load().skin(0.0));
        let mut system = crystal(9, [true; 3], seed);
        for step in 0..12 {
            for (k, x) in system.positions.iter_mut().flatten().enumerate() {
                *x += 0.05 * (k as f64 + 0.3 * f64::from(step)).sin();
            }
            assert_eq!(with.evaluate(&[&system]).unwrap(), without.evaluate(&[&system]).unwrap(), "step {step}");
        }
    }
}

#[test]
fn atoms_of_large_systems_keep_their_numbers() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    let one = molecule(21, 8);
    // Far apart, and numbered so that every molecule's first atoms come first.
    let n = 110;
    let mut all = System::default();
    for (z, position) in one.atomic_numbers.iter().zip(&one.positions) {
        for k in 0..n {
            all.atomic_numbers.push(*z);
            all.positions.push([position[0] + 40.0 * f64::from(k * 37 % n), position[1], position[2]]);
        }
    }
    let direct = PaiNNConfig { forces: Forces::Direct, ..painn(12) };
    for architecture in [schnet(12, 10, Neighbors::All), Architecture::PaiNN(painn(12)), Architecture::PaiNN(direct)] {
        save(&path, architecture, 0.0);
        let engine = Engine::<f64>::load(&path, FilterChoice::default()).unwrap();
        let (single, many) = (engine.evaluate(&[&one]).unwrap(), engine.evaluate(&[&all]).unwrap());
        for (i, (energy, force)) in many.atomic_energies.iter().zip(&many.forces).enumerate() {
            let own = i / n as usize;
            assert!((energy - single.atomic_energies[own]).abs() < 1e-9, "atom {i}");
            assert!((0..3).all(|c| (force[c] - single.forces[own][c]).abs() < 1e-9), "atom {i}");
        }
        assert!((many.energy[0] - f64::from(n) * single.energy[0]).abs() < 1e-6);
    }
}

#[test]
fn what_the_engine_cannot_run_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    let error = |path: &Path, filters| Engine::<f32>::load(path, filters).unwrap_err().to_string();
    save(&path, Architecture::GemNetOC(GemNetOCConfig { n_blocks: 1, ..GemNetOCConfig::default() }), 0.0);
    assert!(error(&path, EXACT).contains("the engine runs SchNet and PaiNN; this network runs with --engine network"));
    save(&path, schnet(12, 10, Neighbors::All), 0.0);
    assert!(error(&path, FilterChoice::Table { accuracy: 1e-18 }).contains("take exact filters (--filters exact)"));
    let engine = Engine::<f32>::load(&path, EXACT).unwrap();
    let with = |z: u8, x: f64| {
        let system =
            System { atomic_numbers: vec![1, z], positions: vec![[0.0; 3], [x, 0.0, 0.0]], ..System::default() };
        engine.evaluate(&[&system]).map_err(|e| e.to_string())
    };
    assert!(with(9, 1.0).unwrap_err().contains("element F is not among those of the model (H, C, N, O)"));
    assert!(with(1, f64::NAN).unwrap_err().contains("not finite") || with(1, f64::NAN).unwrap_err().contains("NaN"));
    assert!(with(1, 0.0).unwrap_err().contains("at one place"));
    assert!(with(1, 0.02).unwrap().forces.as_flattened().iter().all(|f| f.is_finite()));
    let mut good = std::fs::read(&path).unwrap();
    // Without its checksum, which would find every change first.
    let key = good.windows(17).position(|w| w == b"potstill-checksum").unwrap();
    good[key..key + 17].copy_from_slice(b"potstill-unsealed");
    for (from, to, wanted) in [
        ("n_gaussians\\\":8", "n_gaussians\\\":0", "model.n_gaussians: is 0; it must lie between 2 and"),
        ("n_interactions\\\":3", "n_interactions\\\":4", "weight interactions.3.filter_in.weight is missing"),
        ("n_interactions\\\":3", "n_interactions\\\":2", "is not part of the network in the header"),
        ("cutoff\\\":4.0", "cutoff\\\":0.0", "model.cutoff: 0 is not a distance"),
        ("energy_std\\\":1.7", "energy_std\\\":0.0", "energy_std"),
        ("[\\\"H\\\"", "[\\\"Q\\\"", "elements: `Q` is not an element"),
    ] {
        let start = good.windows(from.len()).position(|w| w == from.as_bytes()).expect(from);
        let mut changed = good.clone();
        changed[start..start + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&path, changed).unwrap();
        let error = error(&path, EXACT);
        assert!(error.contains(wanted) && error.contains("model.safetensors") && !error.contains('\n'), "{error}");
    }
    let truncated = good;
    std::fs::write(&path, &truncated[..truncated.len() / 2]).unwrap();
    assert!(error(&path, EXACT).contains("not a complete safetensors file"));
    assert!(error(&place.path().join("nowhere"), EXACT).contains("cannot open"));
}
