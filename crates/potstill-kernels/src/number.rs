//! f32 and f64 for loops that the compiler turns into vector instructions, and for kernels that name their registers.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

pub use pulp::{Simd, WithSimd};

/// f32 or f64, with the functions that networks need.
pub trait Number:
    bytemuck::Pod
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
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
    /// Exactly, or as f64 itself.
    fn to_f64(self) -> f64;
    /// `self · a + b`, rounded once.
    fn times_plus(self, a: Self, b: Self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// `1 / (1 + e⁻ˣ)`.
    fn sigmoid(self) -> Self;
    /// `ln(1 + eˣ)`.
    fn softplus(self) -> Self;

    /// A vector register.
    type Register<S: Simd>: bytemuck::Pod + Debug + Send + Sync;

    /// As many whole registers as the slice holds.
    fn registers<S: Simd>(slice: &[Self]) -> &[Self::Register<S>];
    /// The same, to be written.
    fn registers_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Register<S>];
    /// The same number in each lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Register<S>;
    /// `a + b`
    fn plus<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// `a · b`
    fn times<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// `a · b + c`, rounded once.
    fn fused<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>, c: Self::Register<S>) -> Self::Register<S>;
    /// Sum of all lanes.
    fn sum<S: Simd>(simd: S, a: Self::Register<S>) -> Self;
}

/// Numbers in a register of `T`.
pub const fn lanes<T: Number, S: Simd>() -> usize {
    size_of::<T::Register<S>>() / size_of::<T>()
}

/// The same for the registers that [`dispatch`] will choose.
pub fn lanes_here<T: Number>() -> usize {
    struct Ask<T>(std::marker::PhantomData<T>);
    impl<T: Number> WithSimd for Ask<T> {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            lanes::<T, S>()
        }
    }
    dispatch(Ask::<T>(std::marker::PhantomData))
}

/// Runs a kernel with the widest registers of this machine.
#[inline(always)]
pub fn dispatch<W: WithSimd>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

/// What [`Number`] says of registers, by the names that `pulp` gives them.
macro_rules! registers {
    ($vector:ident, $view:ident, $view_mut:ident, $splat:ident, $add:ident, $mul:ident, $fused:ident, $sum:ident) => {
        type Register<S: Simd> = S::$vector;

        #[inline(always)]
        fn registers<S: Simd>(slice: &[Self]) -> &[S::$vector] {
            S::$view(slice).0
        }

        #[inline(always)]
        fn registers_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$vector] {
            S::$view_mut(slice).0
        }

        #[inline(always)]
        fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
            simd.$splat(value)
        }

        #[inline(always)]
        fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$add(a, b)
        }

        #[inline(always)]
        fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$mul(a, b)
        }

        #[inline(always)]
        fn fused<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
            simd.$fused(a, b, c)
        }

        #[inline(always)]
        fn sum<S: Simd>(simd: S, a: S::$vector) -> Self {
            simd.$sum(a)
        }
    };
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    registers!(f64s, as_simd_f64s, as_mut_simd_f64s, splat_f64s, add_f64s, mul_f64s, mul_add_f64s, reduce_sum_f64s);

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn times_plus(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        1.0 / (1.0 + (-self).exp())
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        self.max(0.0) + (-self.abs()).exp().ln_1p()
    }
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    registers!(f32s, as_simd_f32s, as_mut_simd_f32s, splat_f32s, add_f32s, mul_f32s, mul_add_f32s, reduce_sum_f32s);

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn times_plus(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        1.0 / (1.0 + exp(-self))
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        self.max(0.0) + ln_1p(exp(-self.abs()))
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

/// `ln(1 + u)` for `u` in [0, 1]: `2 artanh s` with `s = u / (2 + u) ≤ 1/3`, whose series is cut below 2e-9.
#[inline(always)]
fn ln_1p(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let square = s * s;
    let mut p = 1.0 / 15.0;
    for c in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        p = p * square + c;
    }
    2.0 * s * p
}

/// Runs a loop compiled for the widest vector instructions of this machine.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
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

    #[test]
    fn functions_are_right_to_rounding() {
        for i in -30_000..30_000 {
            let x = i as f32 * 3e-3;
            let wanted = f64::from(x);
            let softplus = wanted.max(0.0) + (-wanted.abs()).exp().ln_1p();
            assert!((f64::from(x.softplus()) - softplus).abs() <= 4e-7 * softplus + 1e-37, "softplus({x})");
            let sigmoid = 1.0 / (1.0 + (-wanted).exp());
            assert!((f64::from(x.sigmoid()) - sigmoid).abs() <= 4e-7 * sigmoid + 1e-37, "sigmoid({x})");
            assert!((wanted.softplus() - softplus).abs() < 1e-15 * softplus.max(1e-300) * 4.0);
        }
    }
}
