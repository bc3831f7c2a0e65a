//! Normally distributed random numbers.

use rand::{Rng, RngExt};

/// Random number with mean 0 and standard deviation 1, drawn by the Box–Muller method.
pub fn standard_normal(rng: &mut impl Rng) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
