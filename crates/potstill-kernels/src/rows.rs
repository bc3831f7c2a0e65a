//! Rows of features that are padded to whole vector registers, and sums over them.

use crate::Number;

/// Numbers that one loop iteration handles together, a multiple of every register's lanes; rows are padded to it.
pub const LANES: usize = 16;

/// Width of a row of `n` numbers with its padding.
pub fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// `y += x`
#[inline(always)]
pub fn add<T: Number>(y: &mut [T], x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// `y += a x`
#[inline(always)]
pub fn add_scaled<T: Number>(y: &mut [T], a: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// Dot product of two rows of the same length, of any width.
#[inline(always)]
pub fn dot<T: Number>(a: &[T], b: &[T]) -> T {
    // Partial sums, since the order of a plain sum may not be changed to vectorise it.
    let mut parts = [T::ZERO; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut rest = T::ZERO;
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        rest += a * b;
    }
    for (a, b) in a.iter().zip(b) {
        for ((part, &a), &b) in parts.iter_mut().zip(a).zip(b) {
            *part += a * b;
        }
    }
    parts.iter().fold(rest, |sum, &part| sum + part)
}

/// Sum in as many parts as a register has lanes.
#[derive(Debug, Clone, Copy)]
pub struct PartialSums<T>(pub [T; LANES]);

impl<T: Number> PartialSums<T> {
    /// Sum of nothing.
    #[inline(always)]
    pub fn zero() -> Self {
        Self([T::ZERO; LANES])
    }

    /// Sum of all parts, in an order that does not depend on the registers.
    #[inline(always)]
    pub fn total(self) -> T {
        let mut all = self.0;
        let mut n = LANES / 2;
        while n > 0 {
            for k in 0..n {
                all[k] += all[k + n];
            }
            n /= 2;
        }
        all[0]
    }
}
