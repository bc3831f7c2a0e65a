//! Relaxations of crystals against sums over their shells of neighbours.

use potstill_core::system::{Vec3, cross, dot};
use potstill_core::{Potential, System};
use potstill_simulate::{CellChange, Optimizer, Relaxation, relax};

use super::potentials::{CRYSTAL, cluster, fcc};

/// Squares of the distances of the neighbours in a face-centred cubic lattice, in squares of the nearest distance, and numbers
/// of them: the shells within the cutoff of `CRYSTAL`.
const SHELLS: [(f64, f64); 5] = [(1.0, 12.0), (2.0, 6.0), (3.0, 24.0), (4.0, 12.0), (5.0, 24.0)];

/// Energy in eV per atom, but for a constant, and its derivative by the nearest distance in Å.
fn lattice_energy(distance: f64) -> (f64, f64) {
    let sum = |power: i32| SHELLS.iter().map(|(square, n)| n * square.powi(-power)).sum::<f64>();
    let (six, twelve) = ((3.4 / distance).powi(6) * sum(3), (3.4 / distance).powi(12) * sum(6));
    (2.0 * 0.0104 * (twelve - six), 2.0 * 0.0104 * (6.0 * six - 12.0 * twelve) / distance)
}

/// Lattice constant in Å at a pressure in eV/Å³: dE/dV = −P per atom, found by bisection.
fn lattice_constant(pressure: f64) -> f64 {
    // V = d³/√2 per atom.
    let excess = |d: f64| -lattice_energy(d).1 / (3.0 * d * d / 2.0_f64.sqrt()) - pressure;
    let (mut low, mut high) = (3.4, 3.9);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if excess(middle) > 0.0 { low = middle } else { high = middle }
    }
    low * 2.0_f64.sqrt()
}

fn settings(optimizer: Optimizer, cell: CellChange, pressure: f64) -> Relaxation {
    Relaxation { optimizer, cell, pressure, fmax: 1e-6, max_steps: 5000, ..Relaxation::default() }
}

/// Crystal with another shape and, if asked for, atoms out of place.
fn strained(a: f64, strain: [Vec3; 3], jitter: f64) -> System {
    let mut system = fcc(2, a);
    let map = |r: &mut Vec3| *r = std::array::from_fn(|i| r[i] + dot(strain[i], *r));
    system.positions.iter_mut().chain(system.cell.iter_mut().flatten()).for_each(map);
    for (k, x) in system.positions.iter_mut().flatten().enumerate() {
        *x += jitter * (7.0 * k as f64).sin();
    }
    system
}

const STRAIN: [Vec3; 3] = [[0.02, 0.01, 0.0], [0.0, -0.015, 0.005], [0.0, 0.01, 0.01]];

#[test]
fn a_crystal_finds_its_lattice_constant() {
    let wanted = lattice_constant(0.0);
    // Of all shells it would be 1.5418 σ.
    assert!((wanted / 3.4 - 1.545).abs() < 0.01, "{wanted}");
    for optimizer in [Optimizer::Fire, Optimizer::Lbfgs] {
        let isotropic = relax(
            &CRYSTAL,
            &strained(5.35, [[0.0; 3]; 3], 0.0),
            &settings(optimizer, CellChange::Isotropic, 0.0),
            &mut |_| (),
        );
        let full =
            relax(&CRYSTAL, &strained(5.25, STRAIN, 0.03), &settings(optimizer, CellChange::Full, 0.0), &mut |_| ());
        for relaxed in [isotropic.unwrap(), full.unwrap()] {
            assert!(relaxed.converged && relaxed.largest_stress.unwrap() < 1e-6);
            let [a, b, c] = relaxed.system.cell.unwrap().map(|v| dot(v, v).sqrt() / 2.0);
            let cosines = [(0, 1), (0, 2), (1, 2)].map(|(i, j)| {
                let cell = relaxed.system.cell.unwrap();
                dot(cell[i], cell[j]) / (4.0 * a * a)
            });
            assert!([a, b, c].iter().all(|x| (x - wanted).abs() < 2e-3), "{optimizer:?}: {a} {b} {c}, {wanted}");
            assert!(cosines.iter().all(|x| x.abs() < 1e-3), "{cosines:?}");
            let volume = relaxed.system.volume().unwrap();
            assert!((volume / 8.0 / wanted.powi(3) - 1.0).abs() < 1e-4, "{volume}");
        }
    }
}

#[test]
fn pressure_changes_the_volume_as_it_should() {
    for (pressure, cell) in [(0.002, CellChange::Full), (0.0025, CellChange::Isotropic), (-0.0005, CellChange::Full)] {
        let start = strained(5.2, [[0.0; 3]; 3], 0.0);
        let relaxed = relax(&CRYSTAL, &start, &settings(Optimizer::Fire, cell, pressure), &mut |_| ()).unwrap();
        let wanted = lattice_constant(pressure);
        let a = (relaxed.system.volume().unwrap() / 8.0).cbrt();
        assert!(relaxed.converged && (a / wanted - 1.0).abs() < 2e-5, "{pressure}: {a} {wanted}");
        let virial = relaxed.prediction.virial.unwrap()[0];
        let off = (virial[0][0] / relaxed.system.volume().unwrap() - pressure).abs();
        assert!(off <= relaxed.largest_stress.unwrap() + 1e-12 && off < 1e-6, "{off:e}");
    }
}

#[test]
fn isotropic_changes_keep_the_shape() {
    let start = strained(5.2, STRAIN, 0.02);
    let relaxed =
        relax(&CRYSTAL, &start, &settings(Optimizer::Lbfgs, CellChange::Isotropic, 0.0), &mut |_| ()).unwrap();
    let (before, after) = (start.cell.unwrap(), relaxed.system.cell.unwrap());
    let factor = after[0][0] / before[0][0];
    assert!(relaxed.converged && (factor - 1.0).abs() > 1e-3);
    let flat = |cell: [Vec3; 3]| cell.into_iter().flatten();
    assert!(flat(before).zip(flat(after)).all(|(x, y)| (x * factor - y).abs() < 1e-12));
    // The shape still pulls, the volume does not.
    let virial = relaxed.prediction.virial.unwrap()[0];
    assert!((virial[0][0] - virial[1][1]).abs() > 1e-2);
    assert!((virial[0][0] + virial[1][1] + virial[2][2]).abs() < 1e-3);
}

#[test]
fn fixed_atoms_keep_their_place_in_the_cell() {
    let start = System { fixed: Some((0..32).map(|i| i < 3).collect()), ..strained(5.2, STRAIN, 0.02) };
    let relaxed = relax(&CRYSTAL, &start, &settings(Optimizer::Fire, CellChange::Full, 0.0), &mut |_| ()).unwrap();
    assert!(relaxed.converged && relaxed.system.cell != start.cell);
    let fraction = |system: &System, atom: usize| {
        let ([a, b, c], r) = (system.cell.unwrap(), system.positions[atom]);
        [cross(b, c), cross(c, a), cross(a, b)].map(|n| dot(n, r) / dot(a, cross(b, c)))
    };
    for atom in 0..32 {
        let (before, after) = (fraction(&start, atom), fraction(&relaxed.system, atom));
        let moved = (0..3).map(|c| (before[c] - after[c]).abs()).fold(0.0, f64::max);
        assert_eq!(moved < 1e-12, atom < 3, "atom {atom} moved by {moved:e}");
    }
}

#[test]
fn the_shell_sums_are_those_of_the_potential() {
    let energy = |a: f64| CRYSTAL.evaluate(&[&fcc(2, a)]).unwrap().energy[0] / 32.0;
    let d = |a: f64| a / 2.0_f64.sqrt();
    let wanted = lattice_energy(d(5.3)).0 - lattice_energy(d(5.2)).0;
    assert!((energy(5.3) - energy(5.2) - wanted).abs() < 1e-12);
    // A molecule has no cell to relax, whatever the pressure.
    assert!(relax(&CRYSTAL, &cluster(), &settings(Optimizer::Fire, CellChange::Full, 0.001), &mut |_| ()).is_err());
}
