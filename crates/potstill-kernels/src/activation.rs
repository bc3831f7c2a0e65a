//! Activation functions and their derivatives, on arrays.

use crate::number::{Number, vectorized};

/// Gain of the scaled SiLU: it holds the variance of a unit normal input near one (Gasteiger et al., GemNet, arXiv 2106.08903).
pub const SILU_GAIN: f64 = 1.0 / 0.6;

/// Shift of the softplus, ln 2 rounded to f32 as PyTorch Geometric computes it: published SchNets were trained with this number.
pub const SOFTPLUS_SHIFT: f64 = std::f32::consts::LN_2 as f64;

/// Scaled SiLU `x · sigmoid(x) / 0.6` of each number.
pub fn scaled_silu<T: Number>(x: &[T], y: &mut [T]) {
    let gain = T::of(SILU_GAIN);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * x.sigmoid() * gain;
            }
        },
    );
}

/// Scaled SiLU of each number, in place.
pub fn scaled_silu_in_place<T: Number>(values: &mut [T]) {
    let gain = T::of(SILU_GAIN);
    vectorized(
        #[inline(always)]
        || {
            for x in values {
                *x = *x * x.sigmoid() * gain;
            }
        },
    );
}

/// Multiplies a gradient by the derivative of the scaled SiLU at `x`, `s (1 + x (1 − s)) / 0.6` with `s = sigmoid(x)`.
pub fn scaled_silu_adjoint<T: Number>(x: &[T], gradient: &mut [T]) {
    let gain = T::of(SILU_GAIN);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in gradient.iter_mut().zip(x) {
                let s = x.sigmoid();
                *y = *y * s * (T::ONE + x * (T::ONE - s)) * gain;
            }
        },
    );
}

/// Shifted softplus `ln(½ eˣ + ½)` of each number (Schütt et al., SchNet, arXiv 1706.08566).
pub fn shifted_softplus<T: Number>(x: &[T], y: &mut [T]) {
    let shift = T::of(SOFTPLUS_SHIFT);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x.softplus() - shift;
            }
        },
    );
}

/// Multiplies a gradient by the derivative of the shifted softplus at `x`, `sigmoid(x)`.
pub fn shifted_softplus_adjoint<T: Number>(x: &[T], gradient: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in gradient.iter_mut().zip(x) {
                *y *= x.sigmoid();
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_central_differences() {
        let x: Vec<f64> = (-20..20).map(|i| 0.31 * f64::from(i)).collect();
        let h = 1e-5;
        for (function, adjoint) in [
            (scaled_silu::<f64> as fn(&[f64], &mut [f64]), scaled_silu_adjoint::<f64> as fn(&[f64], &mut [f64])),
            (shifted_softplus, shifted_softplus_adjoint),
        ] {
            let at = |shift: f64| {
                let mut y = vec![0.0; x.len()];
                function(&x.iter().map(|x| x + shift).collect::<Vec<_>>(), &mut y);
                y
            };
            let mut gradient = vec![1.0; x.len()];
            adjoint(&x, &mut gradient);
            for ((above, below), slope) in at(h).iter().zip(at(-h)).zip(gradient) {
                assert!(((above - below) / (2.0 * h) - slope).abs() < 1e-9);
            }
        }
    }
}
