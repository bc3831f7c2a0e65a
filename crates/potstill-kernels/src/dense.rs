//! Linear maps of rows, and their adjoints.

use crate::number::{Number, dispatch, lanes_here};
use crate::panels::{Panels, Product};
use crate::rows::padded;

/// Linear map `x W + b` with `W` of shape `[input, output]`, both widths padded with zeros.
#[derive(Debug, Clone)]
pub struct Dense<T> {
    weight: Panels<T>,
    transposed: Panels<T>,
    bias: Vec<T>,
}

/// Layout of the rows or columns of a matrix as parts of one width, each padded by itself.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    n: usize,
    width: usize,
    /// Numbers of a part that lie side by side.
    run: usize,
}

impl Parts {
    /// Layout of `n` parts, one after the other.
    pub fn of(n: usize, width: usize) -> Self {
        Self { n, width, run: padded(width) }
    }

    /// Layout of `n` parts, of which a register of each lies beside one of the next.
    pub fn interleaved<T: Number>(n: usize, width: usize) -> Self {
        Self { n, width, run: lanes_here::<T>() }
    }

    /// Width without padding.
    pub fn width(self) -> usize {
        self.n * self.width
    }

    /// Width with padding.
    pub fn padded(self) -> usize {
        self.n * padded(self.width)
    }

    /// Place of number `i` in a padded row.
    pub fn place(self, i: usize) -> usize {
        let (part, k) = (i / self.width, i % self.width);
        (k / self.run * self.n + part) * self.run + k % self.run
    }
}

impl<T: Number> Dense<T> {
    /// Linear map with `weight` of shape `[output, input]`, row-major, and a bias of shape `[output]` where there is one.
    pub fn new(weight: &[f64], bias: Option<&[f64]>, input: Parts, output: Parts) -> Self {
        let (wide_in, wide_out) = (input.padded(), output.padded());
        let mut matrix = vec![T::ZERO; wide_in * wide_out];
        for (o, row) in weight.chunks_exact(input.width()).enumerate() {
            for (i, &value) in row.iter().enumerate() {
                matrix[input.place(i) * wide_out + output.place(o)] = T::of(value);
            }
        }
        let mut padded_bias = vec![T::ZERO; wide_out];
        for (o, &value) in bias.unwrap_or_default().iter().enumerate() {
            padded_bias[output.place(o)] = T::of(value);
        }
        Self {
            weight: Panels::new(wide_in, wide_out, |i, o| matrix[i * wide_out + o]),
            transposed: Panels::new(wide_out, wide_in, |o, i| matrix[i * wide_out + o]),
            bias: padded_bias,
        }
    }

    /// Padded width of the output.
    pub fn output(&self) -> usize {
        self.weight.columns()
    }

    /// Maps rows. Shapes: `[n, input]` to `[n, output]`.
    pub fn forward(&self, x: &[T], y: &mut [T]) {
        dispatch(Product { x, panels: &self.weight, bias: Some(&self.bias), y });
    }

    /// Gradient with respect to `x`. Shapes: `[n, output]` to `[n, input]`.
    pub fn adjoint(&self, y_gradient: &[T], x_gradient: &mut [T]) {
        dispatch(Product { x: y_gradient, panels: &self.transposed, bias: None, y: x_gradient });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_rows_of_any_number_and_width() {
        for (n, input, output) in [(1, 3, 5), (7, 17, 16), (21, 40, 3)] {
            let weight: Vec<f64> = (0..input * output).map(|i| (0.3 * i as f64).sin()).collect();
            let bias: Vec<f64> = (0..output).map(|o| o as f64).collect();
            let (from, to) = (Parts::of(1, input), Parts::of(1, output));
            let dense = Dense::<f64>::new(&weight, Some(&bias), from, to);
            let mut x = vec![0.0; n * from.padded()];
            for (r, row) in x.chunks_exact_mut(from.padded()).enumerate() {
                row[..input].iter_mut().enumerate().for_each(|(i, x)| *x = (r + 2 * i) as f64);
            }
            let mut y = vec![f64::NAN; n * to.padded()];
            dense.forward(&x, &mut y);
            for (x, y) in x.chunks_exact(from.padded()).zip(y.chunks_exact(to.padded())) {
                for (o, weights) in weight.chunks_exact(input).enumerate() {
                    let sum: f64 = weights.iter().zip(x).map(|(w, x)| w * x).sum();
                    assert!((y[o] - sum - bias[o]).abs() < 1e-10);
                }
                assert!(y[output..].iter().all(|&y| y == 0.0));
            }
            let mut back = vec![f64::NAN; x.len()];
            dense.adjoint(&y, &mut back);
            let by_hand: f64 = (0..output).map(|o| y[o] * weight[o * input + 1]).sum();
            assert!((back[1] - by_hand).abs() < 1e-9 * by_hand.abs().max(1.0));
        }
    }
}
