//! Stochastic cell rescaling in logarithmic strains, isotropic (one of them) or anisotropic (six).
//!
//! Let `S` be the strain of a step: positions and lattice vectors are mapped by `exp S` and velocities by `exp −S`, in the middle
//! of the drift of velocity Verlet. Its components diffuse in `H + P₀V − kT ln V`, where `H` is the total energy and the last
//! term comes from the volume of phase space. With `φ` the force on a component (see [`Drive`]) and `g` its inverse mobility,
//!
//! `dS = φ/g dt + √(2 kT / g) dW`.
//!
//! - Isotropic, `S` is ln V: `φ = V (P − P₀)`, `g = V τ / κ`: equation 5 of M. Bernetti and G. Bussi, J. Chem. Phys. 153, 114107
//!   (2020), `τ` being the relaxation time and `κ` the compressibility.
//! - Anisotropic: `φ = V (P − P₀ 1)`, `g = 3 V τ / κ` for each of nine components, of which the symmetric part is kept, after
//!   V. Del Tatto, P. Raiteri, M. Bernetti and G. Bussi, Appl. Sci. 12, 1139 (2022). (The paper rotates the cell back instead.)
//!
//! The map of a step with given `S` is reversible and keeps the volume of phase space, so that the logarithm of the ratio of
//! the probabilities to draw `S` before the step and `−S` after it completes the conserved energy.
//!
//! Where the momentum is zero, the centre of mass, which moves with the box, lacks its part `kT/V` of the pressure; it is added
//! to `φ`. An ideal gas of N atoms then has the distribution `Vᴺ exp(−P₀V/kT)` that it has with momentum.

use potstill_core::system::Mat3;
use rand::Rng;

use super::settings::Coupling;
use crate::linalg::{determinant, exponential};
use crate::random::standard_normal;
use crate::state::State;

/// Largest strain of one step; beyond it the settings are no dynamics.
const LARGEST_STRAIN: f64 = 0.2;

/// Strain of a step: ln V alone, or xx, yy, zz, yz, xz, xy.
pub(super) type Strain = [f64; 6];

/// Places of the anisotropic components.
const PLACES: [(usize, usize); 6] = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)];

/// Barostat of one ensemble.
#[derive(Debug, Clone, Copy)]
pub(super) struct Barostat {
    /// Pressure in eV/Å³.
    pub pressure: f64,
    /// Relaxation time divided by the compressibility, in fs·eV/Å³.
    pub inertia: f64,
    /// Directions in which the cell changes.
    pub coupling: Coupling,
    /// `kT` in eV.
    pub kt: f64,
    /// Timestep in fs.
    pub timestep: f64,
}

/// What drives the cell of a state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drive {
    /// Volume in Å³.
    volume: f64,
    /// Force on each component in eV.
    force: Strain,
}

impl Barostat {
    /// What drives the cell of a state with this virial in eV.
    pub fn drive(&self, state: &State, virial: &Mat3, rests: bool) -> Drive {
        let volume = volume(state);
        let kinetic = state.kinetic_tensor();
        let centre = if rests { self.kt } else { 0.0 };
        let tensor = |(i, j): (usize, usize)| kinetic[i][j] + 0.5 * (virial[i][j] + virial[j][i]);
        let excess = |i: usize| tensor((i, i)) - self.pressure * volume + centre;
        let mut force = [0.0; 6];
        match self.coupling {
            Coupling::Isotropic => force[0] = (excess(0) + excess(1) + excess(2)) / 3.0,
            Coupling::Anisotropic => {
                (0..3).for_each(|i| force[i] = excess(i));
                // A symmetric component stands at two places.
                (3..6).for_each(|k| force[k] = 2.0 * tensor(PLACES[k]));
            }
        }
        Drive { volume, force }
    }

    /// Inverse mobility of each component, in eV·fs.
    fn inverse_mobilities(&self, volume: f64) -> Strain {
        let g = volume * self.inertia;
        match self.coupling {
            Coupling::Isotropic => [g; 6],
            Coupling::Anisotropic => [3.0 * g, 3.0 * g, 3.0 * g, 6.0 * g, 6.0 * g, 6.0 * g],
        }
    }

    /// Number of components.
    fn n_components(&self) -> usize {
        match self.coupling {
            Coupling::Isotropic => 1,
            Coupling::Anisotropic => 6,
        }
    }

    /// Strain of a step, drawn at its start; the complaint where it is too large.
    pub fn draw(&self, drive: &Drive, rng: &mut impl Rng) -> Result<Strain, String> {
        let g = self.inverse_mobilities(drive.volume);
        let mut strain = [0.0; 6];
        for k in 0..self.n_components() {
            let noise = (2.0 * self.kt * self.timestep / g[k]).sqrt();
            strain[k] = drive.force[k] / g[k] * self.timestep + noise * standard_normal(rng);
        }
        match strain.iter().all(|s| s.abs() <= LARGEST_STRAIN) {
            true => Ok(strain),
            false => Err(format!(
                "the cell would change by more than {:.0} % in one step; give a longer barostat_time, a smaller compressibility \
                 or a shorter timestep",
                100.0 * LARGEST_STRAIN
            )),
        }
    }

    /// Maps positions and cell by a strain and velocities by its inverse.
    pub fn apply(&self, state: &mut State, strain: &Strain) {
        let logarithm = self.matrix(strain);
        state.map(&exponential(&logarithm), &exponential(&logarithm.map(|row| row.map(|x| -x))));
    }

    fn matrix(&self, strain: &Strain) -> Mat3 {
        let mut matrix = [[0.0; 3]; 3];
        match self.coupling {
            Coupling::Isotropic => (0..3).for_each(|i| matrix[i][i] = strain[0] / 3.0),
            Coupling::Anisotropic => {
                for ((i, j), s) in PLACES.into_iter().zip(strain) {
                    (matrix[i][j], matrix[j][i]) = (*s, *s);
                }
            }
        }
        matrix
    }

    /// `kT` times the logarithm of the ratio of the probabilities of a strain forward and backward, in eV.
    pub fn irreversibility(&self, before: &Drive, after: &Drive, strain: &Strain) -> f64 {
        let (g, h) = (self.inverse_mobilities(before.volume), self.inverse_mobilities(after.volume));
        let n = self.n_components();
        let mut sum = 0.5 * n as f64 * self.kt * (before.volume / after.volume).ln();
        for k in 0..n {
            let forward = strain[k] - before.force[k] / g[k] * self.timestep;
            let backward = strain[k] + after.force[k] / h[k] * self.timestep;
            sum += (h[k] * backward * backward - g[k] * forward * forward) / (4.0 * self.timestep);
        }
        sum
    }

    /// `P₀V` less `kT ln V` (twice where the momentum is zero) of a state, in eV.
    pub fn potential(&self, state: &State, rests: bool) -> f64 {
        let volume = volume(state);
        self.pressure * volume - self.kt * if rests { 2.0 } else { 1.0 } * volume.ln()
    }
}

fn volume(state: &State) -> f64 {
    state.system.cell.as_ref().map_or(0.0, |cell| determinant(cell).abs())
}
