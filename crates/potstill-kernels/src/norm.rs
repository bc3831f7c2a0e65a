//! Layer normalisation of padded rows (Ba et al., arXiv 1607.06450) and its adjoint.

use crate::number::{Number, vectorized};
use crate::rows::{LANES, PartialSums, padded};

/// Added to the variance, as in PyTorch.
pub const VARIANCE_EPSILON: f64 = 1e-5;

/// Layer norm: each row to zero mean and unit variance, then times a weight plus a bias.
#[derive(Debug, Clone)]
pub struct LayerNorm<T> {
    /// Width of a row without padding.
    width: usize,
    /// Shape: `[padded width]`, zero in the padding.
    weight: Vec<T>,
    /// Shape: `[padded width]`, zero in the padding.
    bias: Vec<T>,
}

impl<T: Number> LayerNorm<T> {
    /// Layer norm with weight and bias, both of shape `[width]`.
    pub fn new(weight: &[f64], bias: &[f64]) -> Self {
        let widened = |raw: &[f64]| {
            let mut values = vec![T::ZERO; padded(raw.len())];
            values.iter_mut().zip(raw).for_each(|(to, &from)| *to = T::of(from));
            values
        };
        Self { width: weight.len(), weight: widened(weight), bias: widened(bias) }
    }

    /// Normalises each row; padding stays zero. Shape: `[n, padded width]`.
    pub fn forward(&self, x: &[T], y: &mut [T]) {
        let wide = self.weight.len();
        vectorized(
            #[inline(always)]
            || {
                for (x, y) in x.chunks_exact(wide).zip(y.chunks_exact_mut(wide)) {
                    let (mean, inverse) = moments(x, self.width);
                    for (((y, &x), &a), &b) in y.iter_mut().zip(x).zip(&self.weight).zip(&self.bias) {
                        *y = ((x - mean) * inverse).times_plus(a, b);
                    }
                }
            },
        );
    }

    /// Adds the gradient with respect to the input, `(g − mean g − n mean(g n)) / σ` with `g` the gradient of the output times the
    /// weight and `n` the normalised row. Shapes: `[n, padded width]`; `y_gradient` is overwritten.
    pub fn adjoint(&self, x: &[T], y_gradient: &mut [T], x_gradient: &mut [T]) {
        let (wide, h) = (self.weight.len(), self.width);
        vectorized(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(wide).zip(y_gradient.chunks_exact_mut(wide));
                for ((x, g), out) in rows.zip(x_gradient.chunks_exact_mut(wide)) {
                    let (mean, inverse) = moments(x, h);
                    let (sum, along) = self.weighted_means(x, g, mean, inverse);
                    for ((out, &g), &x) in out[..h].iter_mut().zip(&g[..h]).zip(&x[..h]) {
                        *out += (g - sum - (x - mean) * inverse * along) * inverse;
                    }
                }
            },
        );
    }

    /// Multiplies a gradient by the weight; mean of the product, and mean of the product times the normalised row.
    #[inline(always)]
    fn weighted_means(&self, x: &[T], g: &mut [T], mean: T, inverse: T) -> (T, T) {
        let count = T::of(1.0 / self.width as f64);
        let (mut sum, mut along) = (PartialSums::<T>::zero(), PartialSums::<T>::zero());
        let chunks = g.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES));
        for ((g, x), a) in chunks.zip(self.weight.chunks_exact(LANES)) {
            for k in 0..LANES {
                // Padding has no weight.
                g[k] *= a[k];
                sum.0[k] += g[k];
                along.0[k] = g[k].times_plus((x[k] - mean) * inverse, along.0[k]);
            }
        }
        (sum.total() * count, along.total() * count)
    }
}

/// Mean and inverse standard deviation of the first `h` numbers of a row, whose padding is zero.
#[inline(always)]
fn moments<T: Number>(row: &[T], h: usize) -> (T, T) {
    let count = T::of(1.0 / h as f64);
    let mut sum = PartialSums::<T>::zero();
    for chunk in row.chunks_exact(LANES) {
        sum.0.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += x);
    }
    let mean = sum.total() * count;
    let mut squares = PartialSums::<T>::zero();
    for chunk in row[..h].chunks(LANES) {
        for (sum, &x) in squares.0.iter_mut().zip(chunk) {
            *sum = (x - mean).times_plus(x - mean, *sum);
        }
    }
    (mean, T::ONE / (squares.total() * count + T::of(VARIANCE_EPSILON)).root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_and_the_adjoint_is_a_central_difference() {
        let (h, wide) = (21, padded(21));
        let row = |phase: f64| -> Vec<f64> { (0..h).map(|i| (phase * i as f64).sin() + 0.2).collect() };
        let norm = LayerNorm::<f64>::new(&row(1.3), &row(0.7));
        let widened = |mut row: Vec<f64>| {
            row.resize(wide, 0.0);
            row
        };
        let (x, weights) = (widened(row(2.1)), row(0.4));
        let loss = |x: &[f64]| {
            let mut y = vec![0.0; wide];
            norm.forward(x, &mut y);
            assert!(y[h..].iter().all(|&y| y == 0.0));
            y.iter().zip(&weights).map(|(y, w)| y * w).sum::<f64>()
        };
        let mut gradient = vec![0.0; wide];
        norm.adjoint(&x, &mut widened(weights.clone()), &mut gradient);
        for k in 0..h {
            let shifted = |shift: f64| {
                let mut x = x.clone();
                x[k] += shift;
                loss(&x)
            };
            let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            assert!((difference - gradient[k]).abs() < 1e-7, "{k}: {difference} {}", gradient[k]);
        }
    }
}
