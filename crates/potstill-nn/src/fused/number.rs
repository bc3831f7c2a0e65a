//! f32 and f64 as the tensor framework and the kernels both know them.

use burn::tensor::Element;
pub use potstill_kernels::number::vectorized;

/// A floating-point number of a network.
pub trait Number: Element + potstill_kernels::number::Number {}

impl Number for f32 {}
impl Number for f64 {}

/// `y += a x`
#[inline(always)]
pub fn add_scaled<T: Number>(y: &mut [T], a: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
