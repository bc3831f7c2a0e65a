//! Muon: the momentum of a weight matrix, made orthogonal.
//!
//! K. Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024); J. Liu et al., *Muon is scalable for LLM
//! training*, arXiv 2502.16982, whose factor makes a step as long as one of AdamW, so that one learning rate serves both.

use potstill_nn::Number;
use potstill_nn::ops::{Factor, product_into};

/// Coefficients of the odd polynomial that brings all singular values near 1, and how often it is applied.
const POLYNOMIAL: [f64; 3] = [3.4445, -4.7750, 2.0315];
const REPEATED: usize = 5;
/// Norm of a momentum below which it has no direction.
const SMALLEST: f64 = 1e-30;
/// Root mean square of an element of AdamW's step, in learning rates.
const STEP: f64 = 0.2;

/// Weight matrix that is to be moved, row by row.
pub(super) struct Matrix<'a, T> {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The matrix.
    pub p: &'a mut [T],
    /// Its gradient.
    pub g: &'a [T],
    /// Running mean of its gradients.
    pub momentum: &'a mut [T],
}

/// Moves a matrix; `decay` is that of the momentum.
pub(super) fn update<T: Number>(matrix: Matrix<'_, T>, decay: f64, learning_rate: f64) {
    let Matrix { shape, weight_decay, p, g, momentum } = matrix;
    let keep = T::of(1.0 - learning_rate * weight_decay);
    let (decay, rate) = (T::of(decay), T::of(1.0 - decay));
    let mut direction: Vec<T> = Vec::with_capacity(g.len());
    for (m, &g) in momentum.iter_mut().zip(g) {
        *m += rate * (g - *m);
        // Nesterov: where the momentum goes, not where it is.
        direction.push(rate * g + decay * *m);
    }
    orthogonalize(&mut direction, shape);
    let [rows, columns] = shape;
    let size = T::of(learning_rate * STEP * (rows.max(columns) as f64).sqrt());
    p.iter_mut().zip(&direction).for_each(|(p, &d)| *p = keep * *p - size * d);
}

/// Replaces a matrix U S Vᵀ by nearly U Vᵀ, by Newton–Schulz iterations: singular values come to lie between 0.7 and 1.2, about.
fn orthogonalize<T: Number>(matrix: &mut [T], [rows, columns]: [usize; 2]) {
    let norm = super::global_norm(matrix);
    // A matrix without any gradient stays where it is.
    let inverse = T::of(if norm > SMALLEST { 1.0 / norm } else { 0.0 });
    matrix.iter_mut().for_each(|x| *x = inverse * *x);
    let n = rows.min(columns);
    let (mut square, mut fourth) = (vec![T::ZERO; n * n], vec![T::ZERO; n * n]);
    let mut next = vec![T::ZERO; matrix.len()];
    let [a, b, c] = POLYNOMIAL.map(T::of);
    for _ in 0..REPEATED {
        let x = Factor::new(matrix, rows, columns);
        match rows <= columns {
            true => product_into(&mut square, x, x.transpose(), false),
            false => product_into(&mut square, x.transpose(), x, false),
        }
        let s = Factor::new(&square, n, n);
        product_into(&mut fourth, s, s, false);
        square.iter_mut().zip(&fourth).for_each(|(s, &f)| *s = b * *s + c * f);
        let s = Factor::new(&square, n, n);
        match rows <= columns {
            true => product_into(&mut next, s, x, false),
            false => product_into(&mut next, x, s, false),
        }
        matrix.iter_mut().zip(&next).for_each(|(x, &y)| *x = a * *x + y);
    }
}
