//! f32 and f64 for loops that the compiler turns into vector instructions.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub};

use burn::tensor::Element;

/// A floating-point number of a network.
pub trait Number:
    Element
    + bytemuck::Pod
    + Debug
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Send
    + Sync
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// Nearest value.
    fn of(value: f64) -> Self;

    /// `1 / (1 + e⁻ˣ)`.
    fn sigmoid(self) -> Self;
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        1.0 / (1.0 + (-self).exp())
    }
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        1.0 / (1.0 + exp(-self))
    }
}

/// `eˣ` within two units in the last place, without branches and without a call, so that loops over it vectorise; arguments
/// are kept within ±87.
///
/// `x = k ln 2 + r` with `|r| ≤ ½ ln 2`; a polynomial for `eʳ`, and `2ᵏ` by writing the exponent's bits.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has few bits, so that `k` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    // Taylor coefficients; the first term left out is below 6e-9.
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// Runs a loop compiled for the widest vector instructions of this machine.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// `y += a x`
#[inline(always)]
pub fn add_scaled<T: Number>(y: &mut [T], a: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_right_to_two_units_in_the_last_place() {
        for i in -86_000..86_000 {
            let x = i as f32 * 1e-3;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            assert!(error < 2.4e-7, "exp({x}): relative error {error}");
        }
    }

    #[test]
    fn sigmoid_saturates_and_knows_no_infinities() {
        for (x, wanted) in [(0.0, 0.5), (200.0, 1.0), (-200.0, 0.0), (f32::INFINITY, 1.0)] {
            assert!((x.sigmoid() - wanted).abs() < 1e-30, "{x}");
        }
        assert!((1.5_f64.sigmoid() - 0.817_574_476_193_643_7).abs() < 1e-16);
    }
}
