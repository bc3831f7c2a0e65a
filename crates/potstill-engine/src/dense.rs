//! Linear maps of rows, and their adjoints.
#![allow(unsafe_code)] // The product's library takes pointers; lengths are checked before.

use crate::checkpoint::Weights;
use crate::rows::LANES;
use potstill_core::Result;
use potstill_core::number::Number;

/// Width of a row that holds `n` numbers.
pub fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// `x W + b` with `W` of shape `[input, output]`, both widths padded with zeros.
#[derive(Debug, Clone)]
pub struct Dense<T> {
    /// Row by row.
    weight: Vec<T>,
    bias: Vec<T>,
    input: usize,
    output: usize,
}

/// How the rows or columns of a matrix are made up: so many parts of that width, each padded by itself.
#[derive(Debug, Clone, Copy)]
pub struct Parts(pub usize, pub usize);

impl Parts {
    /// Width with padding.
    pub fn padded(self) -> usize {
        self.0 * padded(self.1)
    }

    /// Where number `i` goes.
    fn place(self, i: usize) -> usize {
        i / self.1 * padded(self.1) + i % self.1
    }
}

impl<T: Number> Dense<T> {
    /// The map of that name: `{name}.weight` of shape `[output, input]`, and `{name}.bias` where there is one.
    ///
    /// # Errors
    /// Weights that are missing or of another shape.
    pub fn read(weights: &mut Weights, name: &str, input: Parts, output: Parts, bias: bool) -> Result<Self> {
        let (n_in, n_out) = (input.0 * input.1, output.0 * output.1);
        let raw = weights.take(&format!("{name}.weight"), &[n_out, n_in])?;
        let (wide_in, wide_out) = (input.padded(), output.padded());
        let mut weight = vec![T::ZERO; wide_in * wide_out];
        for (o, row) in raw.chunks_exact(n_in).enumerate() {
            for (i, &value) in row.iter().enumerate() {
                weight[input.place(i) * wide_out + output.place(o)] = T::of(value);
            }
        }
        let mut padded_bias = vec![T::ZERO; wide_out];
        if bias {
            for (o, value) in weights.take(&format!("{name}.bias"), &[n_out])?.into_iter().enumerate() {
                padded_bias[output.place(o)] = T::of(value);
            }
        }
        Ok(Self { weight, bias: padded_bias, input: wide_in, output: wide_out })
    }

    /// Padded width of what comes out.
    pub fn output(&self) -> usize {
        self.output
    }

    /// Shapes: `[n, input]` to `[n, output]`.
    pub fn forward(&self, x: &[T], y: &mut [T]) {
        for row in y.chunks_exact_mut(self.output) {
            row.copy_from_slice(&self.bias);
        }
        let n = y.len() / self.output;
        product(y, [n, self.input, self.output], x, (&self.weight, [self.output, 1]), true);
    }

    /// Gradient with respect to `x`. Shapes: `[n, output]` to `[n, input]`.
    pub fn adjoint(&self, y_bar: &[T], x_bar: &mut [T]) {
        let n = x_bar.len() / self.input;
        product(x_bar, [n, self.output, self.input], y_bar, (&self.weight, [1, self.output]), false);
    }
}

/// `out = a b`, or `out += a b`; sizes are rows of `a`, columns of `a`, columns of `b`, and `b` comes with its strides.
fn product<T: Number>(
    out: &mut [T],
    [m, k, n]: [usize; 3],
    a: &[T],
    (b, [row, column]): (&[T], [usize; 2]),
    add: bool,
) {
    assert!(out.len() == m * n && a.len() == m * k && b.len() == k * n, "sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    assert!((k - 1) * row + (n - 1) * column < b.len(), "strides of a product");
    // SAFETY: the three slices have exactly the lengths that sizes and strides reach, as asserted; `out` is borrowed
    // mutably, so it overlaps neither factor; `Number` is f32 or f64, which the library has kernels for.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            1,
            k as isize,
            b.as_ptr(),
            column as isize,
            row as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
