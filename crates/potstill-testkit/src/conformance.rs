//! The laws that every potential keeps, checked on random molecules and crystals.
//!
//! A potential that breaks a law on purpose says so with an [`Exception`]; a law that an exception names must then
//! really be broken, so that no exception outlives its reason.

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Potential, Prediction, System};

use crate::{differences, systems};

/// Limit of symmetries, relative to the largest number compared: rounding in f64.
const EXACT: f64 = 1e-10;
/// Limit of derivatives against central differences.
const DIFFERENCES: f64 = 1e-7;
/// Distance to the cutoff at which smoothness is probed, in Å.
const PROBE: f64 = 1e-8;
/// Limit of a jump there: forces may have a slope.
const SMOOTH: f64 = 1e-5;

/// Law of physics that every prediction keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Turned systems have the same energy and turned forces.
    Rotation,
    /// So have mirrored ones.
    Reflection,
    /// Moving everything changes nothing.
    Translation,
    /// Nor does moving single atoms by lattice vectors.
    LatticeTranslation,
    /// Renumbering atoms renumbers forces.
    Permutation,
    /// A batch gives what its systems give alone.
    Batching,
    /// Two copies out of sight of each other have twice the energy.
    Extensivity,
    /// A cell repeated along a periodic direction has twice the energy.
    Supercell,
    /// An atom alone has a finite energy and no force.
    IsolatedAtom,
    /// Nothing jumps when two atoms lose sight of each other.
    SmoothCutoff,
    /// Repeated calls give the same bits.
    Determinism,
    /// Atomic energies add up to the energy.
    AtomicEnergies,
    /// Forces are `−∂E/∂r`.
    GradientForces,
    /// The virial is `−∂E/∂strain`.
    GradientVirial,
    /// Unknown elements and positions that are not finite are errors.
    Refusal,
}

/// All laws.
pub const LAWS: [Law; 15] = [
    Law::Rotation,
    Law::Reflection,
    Law::Translation,
    Law::LatticeTranslation,
    Law::Permutation,
    Law::Batching,
    Law::Extensivity,
    Law::Supercell,
    Law::IsolatedAtom,
    Law::SmoothCutoff,
    Law::Determinism,
    Law::AtomicEnergies,
    Law::GradientForces,
    Law::GradientVirial,
    Law::Refusal,
];

/// A law that a potential breaks on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Exception {
    /// The law.
    pub law: Law,
    /// Reason for which it cannot hold.
    pub reason: &'static str,
}

/// Checks all laws on systems drawn from `seed`, which hold H, C, N and O.
///
/// # Panics
/// When a law is broken that no exception names, or an exception names a law that holds.
pub fn check(name: &str, potential: &dyn Potential, exceptions: &[Exception], seed: u64) {
    let mut failures = Vec::new();
    for law in LAWS {
        let (deviation, limit) = (law.deviation(potential, seed), law.limit());
        let holds = deviation <= limit;
        println!("{name:28} {law:?}: {deviation:.1e}");
        match exceptions.iter().find(|e| e.law == law) {
            Some(exception) if holds => failures.push(format!("{law:?} holds, although: {}", exception.reason)),
            None if !holds => failures.push(format!("{law:?} is broken: {deviation:e} above {limit:e}")),
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{name}: {}", failures.join("; "));
}

impl Law {
    fn limit(self) -> f64 {
        match self {
            Self::Determinism | Self::Refusal => 0.0,
            Self::SmoothCutoff => SMOOTH,
            Self::GradientForces | Self::GradientVirial => DIFFERENCES,
            _ => EXACT,
        }
    }

    /// Largest relative deviation over the systems of a seed; infinite where a potential fails to answer.
    pub fn deviation(self, potential: &dyn Potential, seed: u64) -> f64 {
        let systems = samples(seed);
        let worst = |law: fn(&dyn Potential, &System, u64) -> Option<f64>| {
            systems.iter().map(|s| law(potential, s, seed).unwrap_or(f64::INFINITY)).fold(0.0, worse)
        };
        match self {
            Self::Rotation => worst(|p, s, seed| turned(p, s, &systems::rotation(seed))),
            Self::Reflection => worst(|p, s, _| turned(p, s, &[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])),
            Self::Translation => worst(|p, s, _| moved(p, s, |_, r| [r[0] + 13.7, r[1] - 5.1, r[2] + 0.3])),
            Self::LatticeTranslation => worst(lattice_translation),
            Self::Permutation => worst(permutation),
            Self::Batching => batching(potential, &systems).unwrap_or(f64::INFINITY),
            Self::Extensivity => worst(extensivity),
            Self::Supercell => worst(supercell),
            Self::IsolatedAtom => isolated_atoms(potential),
            Self::SmoothCutoff => smooth_cutoff(potential),
            Self::Determinism => worst(|p, s, _| Some(if evaluate(p, s)? == evaluate(p, s)? { 0.0 } else { 1.0 })),
            Self::AtomicEnergies => worst(|p, s, _| {
                let prediction = evaluate(p, s)?;
                Some(relative(&[prediction.atomic_energies.iter().sum()], &prediction.energy))
            }),
            Self::GradientForces => worst(|p, s, _| {
                Some(relative(evaluate(p, s)?.forces.as_flattened(), differences::forces(p, s).ok()?.as_flattened()))
            }),
            Self::GradientVirial => worst(|p, s, _| {
                let virial = evaluate(p, s)?.virial?[0];
                Some(relative(virial.as_flattened(), differences::virial(p, s).ok()?.as_flattened()))
            }),
            Self::Refusal => refusal(potential, &systems[0]),
        }
    }
}

/// Molecules, and crystals that repeat along one, two and three directions.
fn samples(seed: u64) -> Vec<System> {
    vec![
        systems::molecule(7, seed),
        systems::molecule(2, seed + 1),
        systems::crystal(4, [true, true, true], seed + 2),
        systems::crystal(5, [true, false, true], seed + 3),
        systems::crystal(5, [false, true, false], seed + 4),
        systems::crystal(1, [true, true, true], seed + 5),
    ]
}

fn evaluate(potential: &dyn Potential, system: &System) -> Option<Prediction> {
    potential.evaluate(&[system]).ok()
}

/// The larger of two deviations; a NaN is infinitely wrong.
fn worse(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

/// Largest difference, relative to the largest number (forces below 1e-3 eV/Å count as that).
fn relative(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let scale = expected.iter().fold(1e-3_f64, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, worse)
}

/// Deviation of energy, atomic energies and forces.
fn compare(found: &Prediction, expected: &Prediction) -> f64 {
    let energies = relative(&found.energy, &expected.energy);
    let atomic = relative(&found.atomic_energies, &expected.atomic_energies);
    let forces = relative(found.forces.as_flattened(), expected.forces.as_flattened());
    worse(worse(energies, atomic), forces)
}

fn turned(potential: &dyn Potential, system: &System, matrix: &Mat3) -> Option<f64> {
    let mut expected = evaluate(potential, system)?;
    expected.forces.iter_mut().for_each(|f| *f = systems::apply(matrix, *f));
    Some(compare(&evaluate(potential, &systems::transformed(system, matrix))?, &expected))
}

fn moved(potential: &dyn Potential, system: &System, map: impl Fn(usize, Vec3) -> Vec3) -> Option<f64> {
    let mut other = system.clone();
    other.positions.iter_mut().enumerate().for_each(|(i, r)| *r = map(i, *r));
    Some(compare(&evaluate(potential, &other)?, &evaluate(potential, system)?))
}

/// Each atom by another multiple of the periodic lattice vectors.
fn lattice_translation(potential: &dyn Potential, system: &System, _seed: u64) -> Option<f64> {
    let Some(cell) = system.cell else { return Some(0.0) };
    moved(potential, system, |i, r| {
        let n: Vec3 = std::array::from_fn(|k| if system.pbc[k] { ((i + k) % 5) as f64 - 2.0 } else { 0.0 });
        std::array::from_fn(|c| r[c] + (0..3).map(|k| n[k] * cell[k][c]).sum::<f64>())
    })
}

/// Atoms in reverse order.
fn permutation(potential: &dyn Potential, system: &System, _seed: u64) -> Option<f64> {
    let mut other = system.clone();
    other.positions.reverse();
    other.atomic_numbers.reverse();
    let mut found = evaluate(potential, &other)?;
    found.forces.reverse();
    found.atomic_energies.reverse();
    Some(compare(&found, &evaluate(potential, system)?))
}

fn batching(potential: &dyn Potential, systems: &[System]) -> Option<f64> {
    let members: Vec<&System> = systems.iter().collect();
    let together = potential.evaluate(&members).ok()?;
    let mut alone = Prediction::default();
    let mut virial = Vec::new();
    for system in systems {
        let one = evaluate(potential, system)?;
        alone.energy.extend(one.energy);
        alone.atomic_energies.extend(one.atomic_energies);
        alone.forces.extend(one.forces);
        virial.extend(one.virial.into_iter().flatten());
    }
    let flat = |v: &[Mat3]| v.iter().flatten().flatten().copied().collect::<Vec<f64>>();
    let virials = relative(&flat(together.virial.as_deref().unwrap_or_default()), &flat(&virial));
    Some(worse(compare(&together, &alone), virials))
}

/// Two molecules 1000 Å apart; along a free direction in a crystal.
fn extensivity(potential: &dyn Potential, system: &System, _seed: u64) -> Option<f64> {
    let Some(free) = (0..3).find(|&k| system.cell.is_none() || !system.pbc[k]) else { return Some(0.0) };
    let direction = system.cell.map_or([1.0, 0.0, 0.0], |cell| cell[free]);
    let n = system.n_atoms();
    let mut both = system.clone();
    both.atomic_numbers.extend_from_within(..);
    both.positions.extend_from_within(..);
    for r in &mut both.positions[n..] {
        *r = std::array::from_fn(|k| r[k] + 1000.0 * direction[k]);
    }
    doubled(potential, system, &both)
}

/// Two cells along the first periodic direction.
fn supercell(potential: &dyn Potential, system: &System, _seed: u64) -> Option<f64> {
    let (Some(cell), Some(axis)) = (system.cell, (0..3).find(|&k| system.pbc[k])) else { return Some(0.0) };
    let n = system.n_atoms();
    let mut both = system.clone();
    both.atomic_numbers.extend_from_within(..);
    both.positions.extend_from_within(..);
    for r in &mut both.positions[n..] {
        *r = std::array::from_fn(|k| r[k] + cell[axis][k]);
    }
    both.cell = both.cell.map(|mut cell| {
        cell[axis] = cell[axis].map(|c| 2.0 * c);
        cell
    });
    doubled(potential, system, &both)
}

/// Whether `both` is predicted as twice `system`.
fn doubled(potential: &dyn Potential, system: &System, both: &System) -> Option<f64> {
    let mut expected = evaluate(potential, system)?;
    expected.energy[0] *= 2.0;
    expected.atomic_energies.extend_from_within(..);
    expected.forces.extend_from_within(..);
    Some(compare(&evaluate(potential, both)?, &expected))
}

fn isolated_atoms(potential: &dyn Potential) -> f64 {
    let mut worst = 0.0;
    for &z in potential.elements() {
        let atom = System { atomic_numbers: vec![z], positions: vec![[0.1, 0.2, 0.3]], ..System::default() };
        let Some(prediction) = evaluate(potential, &atom) else { return f64::INFINITY };
        if !prediction.energy[0].is_finite() {
            return f64::INFINITY;
        }
        worst = worse(worst, relative(prediction.forces.as_flattened(), &[0.0; 3]));
        let virial = prediction.virial.map_or([[0.0; 3]; 3], |v| v[0]);
        worst = worse(worst, relative(virial.as_flattened(), &[0.0; 9]));
    }
    worst
}

/// Jump of a dimer, and of a third atom that leaves a bound pair, across the cutoff.
fn smooth_cutoff(potential: &dyn Potential) -> f64 {
    let at = |distance: f64, third: bool| {
        let mut system = System {
            atomic_numbers: vec![8, 1],
            positions: vec![[0.0; 3], [0.6 * distance, 0.8 * distance, 0.0]],
            ..System::default()
        };
        if third {
            system.atomic_numbers.push(6);
            system.positions.push([-0.6, 0.3, 0.8]);
        }
        evaluate(potential, &system)
    };
    let cutoff = potential.cutoff();
    let jump = |third| Some(compare(&at(cutoff - PROBE, third)?, &at(cutoff + PROBE, third)?));
    [false, true].into_iter().map(|third| jump(third).unwrap_or(f64::INFINITY)).fold(0.0, worse)
}

/// 0 when everything unusable is refused.
fn refusal(potential: &dyn Potential, system: &System) -> f64 {
    let mut unknown = system.clone();
    unknown.atomic_numbers[0] = 118;
    let mut lost = system.clone();
    lost.positions[0][1] = f64::NAN;
    let mut flat = system.clone();
    (flat.cell, flat.pbc) = (Some([[0.0; 3]; 3]), [true; 3]);
    if [unknown, lost, flat].iter().any(|s| potential.evaluate(&[s]).is_ok()) { 1.0 } else { 0.0 }
}
