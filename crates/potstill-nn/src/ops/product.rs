//! Matrix products of row-major slices.
#![allow(unsafe_code)] // The product's library takes pointers; lengths are checked before.

use potstill_kernels::number::Number;

/// A factor: a row-major matrix, or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub struct Factor<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a, T> Factor<'a, T> {
    /// `values` has `rows · columns` numbers, row by row.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of {rows} rows and {columns} columns");
        Self { values, rows, columns, transposed: false }
    }

    /// The transpose; nothing moves.
    pub fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    /// Steps in memory from one row to the next and from one column to the next.
    fn strides(&self) -> (isize, isize) {
        let row = self.columns as isize;
        if self.transposed { (1, row) } else { (row, 1) }
    }
}

/// `out = a b`, or `out += a b`.
pub fn product_into<T: Number>(out: &mut [T], a: Factor<'_, T>, b: Factor<'_, T>, add: bool) {
    let ((m, k), (k_b, n)) = (a.shape(), b.shape());
    assert_eq!(k, k_b, "columns of the first factor and rows of the second");
    assert_eq!(out.len(), m * n, "numbers of a product of {m} rows and {n} columns");
    if m == 0 || n == 0 {
        return;
    }
    let ((a_row, a_column), (b_row, b_column)) = (a.strides(), b.strides());
    // SAFETY: the three slices have exactly the lengths that sizes and strides reach, as asserted here and in
    // `Factor::new`; `out` is borrowed mutably, so it overlaps neither factor; `Number` is f32 or f64, which the library
    // has kernels for.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.values.as_ptr(),
            a_column,
            a_row,
            b.values.as_ptr(),
            b_column,
            b_row,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `a b`.
pub fn product<T: Number>(a: Factor<'_, T>, b: Factor<'_, T>) -> Vec<T> {
    let mut out = vec![T::ZERO; a.shape().0 * b.shape().1];
    product_into(&mut out, a, b, false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_transposes() {
        let a: Vec<f64> = (1..=6).map(f64::from).collect();
        let b: Vec<f64> = (1..=6).map(|i| f64::from(i * i)).collect();
        let (a, b) = (Factor::new(&a, 2, 3), Factor::new(&b, 3, 2));
        assert_eq!(product(a, b), [1.0 + 18.0 + 75.0, 4.0 + 32.0 + 108.0, 4.0 + 45.0 + 150.0, 16.0 + 80.0 + 216.0]);
        let square = product(a.transpose(), a);
        assert_eq!(square, [17.0, 22.0, 27.0, 22.0, 29.0, 36.0, 27.0, 36.0, 45.0]);
        let mut out = vec![1.0; 4];
        product_into(&mut out, a, a.transpose(), true);
        assert_eq!(out, [15.0, 33.0, 33.0, 78.0]);
        // An empty inner dimension gives zeros.
        assert_eq!(product(Factor::<f32>::new(&[], 2, 0), Factor::new(&[], 0, 3)), [0.0; 6]);
    }
}
