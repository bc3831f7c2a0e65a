//! f32 and f64, with the functions of networks and with vector registers.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};
use std::sync::LazyLock;

pub use pulp::{Simd, WithSimd};

use crate::elementary::{exp, ln_1p};

/// Floating-point number, f32 or f64, with the functions that networks need.
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
    /// The number one.
    const ONE: Self;

    /// Rounds to this type.
    fn of(value: f64) -> Self;
    /// Widens to f64, exactly.
    fn to_f64(self) -> f64;
    /// `self · a + b`, rounded once.
    fn times_plus(self, a: Self, b: Self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// `1 / (1 + e⁻ˣ)`.
    fn sigmoid(self) -> Self;
    /// `ln(1 + eˣ)`.
    fn softplus(self) -> Self;

    /// Vector register.
    type Register<S: Simd>: bytemuck::Pod + Debug + Send + Sync;

    /// View of a slice as registers; a rest that fills none is left out.
    fn registers<S: Simd>(slice: &[Self]) -> &[Self::Register<S>];
    /// Mutable view of a slice as registers; a rest that fills none is left out.
    fn registers_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Register<S>];
    /// Register with one number in all lanes.
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

/// Number of lanes of a register of `T`.
pub const fn lanes<T: Number, S: Simd>() -> usize {
    size_of::<T::Register<S>>() / size_of::<T>()
}

/// Number of lanes of the registers that [`dispatch`] chooses on this machine.
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

/// Runs a kernel with the widest registers of this machine, or with those that the environment variable `POTSTILL_INSTRUCTIONS` names,
/// `avx2` or `avx512`, where the machine has them: with it tests try narrower ones.
#[inline(always)]
pub fn dispatch<W: WithSimd>(work: W) -> W::Output {
    instructions().dispatch(work)
}

/// Instructions that kernels use.
fn instructions() -> pulp::Arch {
    static CHOSEN: LazyLock<pulp::Arch> = LazyLock::new(|| {
        let asked = std::env::var("POTSTILL_INSTRUCTIONS");
        named(asked.as_deref().unwrap_or_default()).unwrap_or_default()
    });
    *CHOSEN
}

/// Instructions of that name, where this machine has them.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn named(name: &str) -> Option<pulp::Arch> {
    match name {
        "avx2" => pulp::x86::V3::try_new().map(pulp::Arch::V3),
        "avx512" => pulp::x86::V4::try_new().map(pulp::Arch::V4),
        _ => None,
    }
}

/// Instructions of that name, where this machine has them.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn named(_: &str) -> Option<pulp::Arch> {
    None
}

/// Methods of [`Number`] on registers, by the names that `pulp` gives them.
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

/// Runs a loop compiled for the widest vector instructions of this machine.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    instructions().dispatch(work)
}

#[cfg(test)]
mod tests {
    use super::*;

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
