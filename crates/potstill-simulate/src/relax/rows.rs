//! Sums over rows of three numbers.

use potstill_core::system::{Vec3, dot};

/// Scalar product of all rows.
pub fn product(a: &[Vec3], b: &[Vec3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| dot(*a, *b)).sum()
}

/// Length of all rows together.
pub fn norm(a: &[Vec3]) -> f64 {
    product(a, a).sqrt()
}

/// Length of the longest row.
pub fn largest(a: &[Vec3]) -> f64 {
    a.iter().map(|row| dot(*row, *row)).fold(0.0_f64, f64::max).sqrt()
}

/// Multiplies all rows by a factor.
pub fn scale(a: &mut [Vec3], factor: f64) {
    a.iter_mut().flatten().for_each(|x| *x *= factor);
}

/// Adds `factor · b` to `a`.
pub fn add_scaled(a: &mut [Vec3], factor: f64, b: &[Vec3]) {
    for (a, b) in a.iter_mut().zip(b) {
        a.iter_mut().zip(b).for_each(|(x, y)| *x += factor * y);
    }
}
