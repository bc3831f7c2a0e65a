//! Constants of physics in eV, Å, u, fs and K.

/// Boltzmann's constant in eV/K (CODATA 2018, exact).
pub const BOLTZMANN: f64 = 8.617_333_262e-5;

/// Acceleration in Å/fs² of a mass of 1 u under a force of 1 eV/Å (CODATA 2018).
pub const ACCELERATION: f64 = 9.648_533_212e-3;
