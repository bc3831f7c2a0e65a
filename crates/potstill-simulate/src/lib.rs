//! Molecular dynamics and relaxation of a [`System`](potstill_core::System) with any [`Potential`](potstill_core::Potential).
//!
//! Lengths are in Å, energies in eV, masses in u, times in fs, temperatures in K, pressures in eV/Å³. Nothing here reads files or
//! prints.
//!
//! | to do | use |
//! |---|---|
//! | trajectories: constant energy, temperature or pressure; many replicas; exact restarts | [`Dynamics`] |
//! | a minimum of one system, or of many | [`relax`], [`relax_many`] |
//! | steps of your own | [`State`], [`velocity_verlet`], [`Langevin`] |
//!
//! ```
//! use potstill_core::{Potential, Prediction, Result, System};
//! use potstill_simulate::{State, velocity_verlet};
//! use rand::SeedableRng;
//!
//! /// Atoms bound to the origin by springs.
//! struct Springs;
//!
//! impl Potential for Springs {
//!     fn cutoff(&self) -> f64 {
//!         0.0
//!     }
//!     fn elements(&self) -> &[u8] {
//!         &[18]
//!     }
//!     fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
//!         let positions = systems.iter().flat_map(|s| &s.positions);
//!         let atomic_energies: Vec<f64> = positions.clone().map(|r| 0.5 * r.iter().map(|x| x * x).sum::<f64>()).collect();
//!         let forces = positions.map(|r| r.map(|x| -x)).collect();
//!         Ok(Prediction { energy: vec![atomic_energies.iter().sum()], atomic_energies, forces, virial: None })
//!     }
//! }
//!
//! let argon = System { atomic_numbers: vec![18], positions: vec![[0.1, 0.0, 0.0]], ..System::default() };
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let mut state = State::thermal(&argon, 300.0, &mut rng)?;
//! let mut now = Springs.evaluate(&[&state.system])?;
//! let before = now.energy[0] + state.kinetic_energy();
//! for _ in 0..100 {
//!     now = velocity_verlet(&mut state, &now.forces, 0.5, &Springs)?;
//! }
//! assert!((now.energy[0] + state.kinetic_energy() - before).abs() < 1e-5);
//! # Ok::<(), potstill_core::Error>(())
//! ```

mod constants;
mod dynamics;
mod evaluation;
mod integrators;
mod linalg;
mod motion;
mod random;
mod relax;
mod state;

pub use constants::{ACCELERATION, BOLTZMANN};
pub use dynamics::{
    Coupling, Dynamics, DynamicsSettings, Ensemble, Observables, Snapshot, Start, StopReason, StopRule, Stopped,
};
pub use integrators::{Langevin, velocity_verlet};
pub use random::standard_normal;
pub use relax::{CellChange, Optimizer, RelaxStep, Relaxation, Relaxed, relax, relax_many};
pub use state::State;
