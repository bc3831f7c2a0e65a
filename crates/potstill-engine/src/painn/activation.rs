//! What is done to the rows of single atoms.

use potstill_kernels::number::{Number, vectorized};

use super::{GAIN, VARIANCE_EPSILON};
use crate::rows::{LANES, Lanes};

/// Mean and inverse standard deviation of the first `h` numbers of a row; what pads it is zero.
#[inline(always)]
pub(super) fn moments<T: Number>(row: &[T], h: usize) -> (T, T) {
    let count = T::of(1.0 / h as f64);
    let mut sum = Lanes::<T>::new();
    for chunk in row.chunks_exact(LANES) {
        sum.0.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += x);
    }
    let mean = sum.total() * count;
    let mut squares = Lanes::<T>::new();
    for chunk in row[..h].chunks(LANES) {
        for (sum, &x) in squares.0.iter_mut().zip(chunk) {
            *sum = (x - mean).times_plus(x - mean, *sum);
        }
    }
    (mean, T::ONE / (squares.total() * count + T::of(VARIANCE_EPSILON)).root())
}

/// The first two rows, and the rest.
#[inline(always)]
pub(super) fn two<T>(rows: &[T], w: usize) -> (&[T], &[T], &[T]) {
    let (first, rest) = rows.split_at(w);
    let (second, rest) = rest.split_at(w);
    (first, second, rest)
}

pub(super) fn silu<T: Number>(x: &[T], y: &mut [T]) {
    let gain = T::of(GAIN);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * x.sigmoid() * gain;
            }
        },
    );
}

/// `ȳ` times the derivative at `x`: `s (1 + x (1 − s))`.
pub(super) fn silu_adjoint<T: Number>(x: &[T], y_bar: &mut [T]) {
    let gain = T::of(GAIN);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y_bar.iter_mut().zip(x) {
                let s = x.sigmoid();
                *y = *y * s * (T::ONE + x * (T::ONE - s)) * gain;
            }
        },
    );
}
