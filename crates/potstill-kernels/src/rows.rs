//! Loops over rows of features.

use crate::Number;

/// `y += a x`
#[inline(always)]
pub fn add_scaled<T: Number>(y: &mut [T], a: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
