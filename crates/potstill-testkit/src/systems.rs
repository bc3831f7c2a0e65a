//! Random systems and the motions that physics must not notice.

use potstill_core::System;
use potstill_core::system::{Mat3, Vec3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A free molecule of `n` atoms of H, C, N and O, no two closer than 0.7 Å.
pub fn molecule(n: usize, seed: u64) -> System {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let side = 1.6 * (n as f64).cbrt() + 0.5;
    let positions = scattered(n, &mut rng, &[[0.0; 3]], |r| std::array::from_fn(|_| side * r.random::<f64>()));
    System { atomic_numbers: elements(n, &mut rng), positions, ..System::default() }
}

/// A triclinic crystal of `n` atoms, periodic along the axes given by `pbc`, with cell edges near 4 Å; no two atoms or
/// images are closer than 0.7 Å.
pub fn crystal(n: usize, pbc: [bool; 3], seed: u64) -> System {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let side = 2.2 * (n as f64).cbrt() + 1.5;
    let mut cell = [[0.0; 3]; 3];
    for (i, row) in cell.iter_mut().enumerate() {
        for (j, entry) in row.iter_mut().enumerate() {
            *entry = if i == j { side } else { 0.3 * side * (rng.random::<f64>() - 0.5) };
        }
    }
    let positions = scattered(n, &mut rng, &translations(&cell, pbc), |r| {
        let s: Vec3 = std::array::from_fn(|_| r.random::<f64>());
        std::array::from_fn(|k| (0..3).map(|i| s[i] * cell[i][k]).sum())
    });
    System { atomic_numbers: elements(n, &mut rng), positions, cell: Some(cell), pbc, ..System::default() }
}

fn elements(n: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    (0..n).map(|_| [1, 6, 7, 8][rng.random_range(0..4)]).collect()
}

/// Lattice translations to the neighbouring cells, the zero one included.
fn translations(cell: &Mat3, pbc: [bool; 3]) -> Vec<Vec3> {
    let steps = |k: usize| if pbc[k] { -1..=1 } else { 0..=0 };
    let mut all = Vec::new();
    for i in steps(0) {
        for j in steps(1) {
            for l in steps(2) {
                let n = [f64::from(i), f64::from(j), f64::from(l)];
                all.push(std::array::from_fn(|c| (0..3).map(|k| n[k] * cell[k][c]).sum()));
            }
        }
    }
    all
}

fn scattered(
    n: usize,
    rng: &mut ChaCha8Rng,
    images: &[Vec3],
    mut draw: impl FnMut(&mut ChaCha8Rng) -> Vec3,
) -> Vec<Vec3> {
    let mut positions: Vec<Vec3> = Vec::with_capacity(n);
    let mut tries = 0;
    while positions.len() < n {
        let candidate = draw(rng);
        tries += 1;
        let apart =
            |p: &Vec3| images.iter().all(|t| (0..3).map(|k| (p[k] + t[k] - candidate[k]).powi(2)).sum::<f64>() > 0.49);
        if positions.iter().all(apart) || tries > 100 * n {
            positions.push(candidate);
        }
    }
    positions
}

/// A random rotation matrix (from a random unit quaternion).
pub fn rotation(seed: u64) -> Mat3 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let q: [f64; 4] = std::array::from_fn(|_| rng.random::<f64>() - 0.5);
    let norm = q.iter().map(|c| c * c).sum::<f64>().sqrt();
    let [w, x, y, z] = q.map(|c| c / norm);
    [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
        [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
        [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
    ]
}

/// `matrix · v`.
pub fn apply(matrix: &Mat3, v: Vec3) -> Vec3 {
    std::array::from_fn(|i| (0..3).map(|j| matrix[i][j] * v[j]).sum())
}

/// The system with positions and cell vectors mapped by `matrix`.
pub fn transformed(system: &System, matrix: &Mat3) -> System {
    let mut moved = system.clone();
    moved.positions.iter_mut().for_each(|p| *p = apply(matrix, *p));
    if let Some(cell) = &mut moved.cell {
        cell.iter_mut().for_each(|row| *row = apply(matrix, *row));
    }
    moved
}
