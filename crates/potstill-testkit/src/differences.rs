//! Central differences of the energy: what forces and virials must agree with.

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Potential, Result, System};

/// Step in Å (and in units of strain): small beside the 1e-4 Å on which PaiNN's norms of short vectors bend.
const STEP: f64 = 1e-4;

/// Fourth-order central difference of `f` at 0.
pub fn derivative(mut f: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let near = f(STEP)? - f(-STEP)?;
    let far = f(2.0 * STEP)? - f(-2.0 * STEP)?;
    Ok((8.0 * near - far) / (12.0 * STEP))
}

/// `−∂E/∂r` of each atom. Shape: `[n_atoms, 3]`.
///
/// # Errors
/// What the potential says.
pub fn forces(potential: &dyn Potential, system: &System) -> Result<Vec<Vec3>> {
    let mut moved = system.clone();
    let mut forces = vec![[0.0; 3]; system.n_atoms()];
    for (i, force) in forces.iter_mut().enumerate() {
        for (k, component) in force.iter_mut().enumerate() {
            let slope = derivative(|h| {
                moved.positions[i][k] = system.positions[i][k] + h;
                energy(potential, &moved)
            })?;
            moved.positions[i][k] = system.positions[i][k];
            *component = -slope;
        }
    }
    Ok(forces)
}

/// `−∂E/∂strain`, where a strain ε moves positions and lattice vectors to `(1 + ε) r`.
///
/// # Errors
/// What the potential says.
pub fn virial(potential: &dyn Potential, system: &System) -> Result<Mat3> {
    let mut virial = [[0.0; 3]; 3];
    for (a, row) in virial.iter_mut().enumerate() {
        for (b, entry) in row.iter_mut().enumerate() {
            *entry = -derivative(|h| energy(potential, &strained(system, a, b, h)))?;
        }
    }
    Ok(virial)
}

fn strained(system: &System, a: usize, b: usize, strain: f64) -> System {
    let mut matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    matrix[a][b] += strain;
    crate::systems::transformed(system, &matrix)
}

fn energy(potential: &dyn Potential, system: &System) -> Result<f64> {
    Ok(potential.evaluate(&[system])?.energy[0])
}
