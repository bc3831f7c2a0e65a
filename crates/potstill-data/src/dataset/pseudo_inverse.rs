//! Pseudo-inverse of a small symmetric positive semi-definite matrix.

/// Eigenvalues below this fraction of the largest count as zero.
const RELATIVE_ZERO: f64 = 1e-12;
/// Cyclic Jacobi converges quadratically; ten sweeps are rarely needed.
const MAX_SWEEPS: usize = 60;

/// Eigenvectors and eigenvalues of a symmetric matrix, ready to solve with.
pub(super) struct PseudoInverse {
    n: usize,
    eigenvalues: Vec<f64>,
    /// Columns are eigenvectors. Shape: `[n, n]`, row-major.
    vectors: Vec<f64>,
    zero: f64,
}

impl PseudoInverse {
    /// Decomposes a symmetric row-major matrix of `n` rows by cyclic Jacobi rotations.
    pub(super) fn new(mut matrix: Vec<f64>, n: usize) -> Self {
        let mut vectors = vec![0.0; n * n];
        (0..n).for_each(|i| vectors[i * n + i] = 1.0);
        for _ in 0..MAX_SWEEPS {
            if off_diagonal(&matrix, n) <= f64::EPSILON * f64::EPSILON * diagonal(&matrix, n) {
                break;
            }
            for p in 0..n {
                for q in p + 1..n {
                    rotate(&mut matrix, &mut vectors, n, p, q);
                }
            }
        }
        let eigenvalues: Vec<f64> = (0..n).map(|i| matrix[i * n + i]).collect();
        let zero = RELATIVE_ZERO * eigenvalues.iter().copied().fold(0.0, f64::max);
        Self { n, eigenvalues, vectors, zero }
    }

    /// Number of eigenvalues that are not zero.
    pub(super) fn rank(&self) -> usize {
        self.eigenvalues.iter().filter(|&&e| e > self.zero).count()
    }

    /// Eigenvector of the largest eigenvalue.
    pub(super) fn first_vector(&self) -> Vec<f64> {
        let largest = (0..self.n).max_by(|&a, &b| self.eigenvalues[a].total_cmp(&self.eigenvalues[b])).unwrap_or(0);
        (0..self.n).map(|i| self.vectors[i * self.n + largest]).collect()
    }

    /// The shortest vector among those that come nearest to solving `matrix · x = b`.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; self.n];
        for (k, &eigenvalue) in self.eigenvalues.iter().enumerate().filter(|&(_, &e)| e > self.zero) {
            let column = || (0..self.n).map(|i| self.vectors[i * self.n + k]);
            let along = column().zip(b).map(|(v, b)| v * b).sum::<f64>() / eigenvalue;
            x.iter_mut().zip(column()).for_each(|(x, v)| *x += along * v);
        }
        x
    }
}

/// Sum of squares above the diagonal.
fn off_diagonal(matrix: &[f64], n: usize) -> f64 {
    (0..n).flat_map(|p| matrix[p * n + p + 1..(p + 1) * n].iter()).map(|x| x * x).sum()
}

/// Sum of squares on the diagonal.
fn diagonal(matrix: &[f64], n: usize) -> f64 {
    (0..n).map(|p| matrix[p * n + p] * matrix[p * n + p]).sum()
}

/// The Jacobi rotation that makes element (p, q) zero.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let element = matrix[p * n + q];
    if element == 0.0 {
        return;
    }
    let theta = (matrix[q * n + q] - matrix[p * n + p]) / (2.0 * element);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let mix = |array: &mut [f64], a: usize, b: usize| {
        let (x, y) = (array[a], array[b]);
        array[a] = cosine * x - sine * y;
        array[b] = sine * x + cosine * y;
    };
    for k in 0..n {
        mix(matrix, k * n + p, k * n + q);
        mix(vectors, k * n + p, k * n + q);
    }
    for k in 0..n {
        mix(matrix, p * n + k, q * n + k);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_regular_matrix_is_solved() {
        let inverse = PseudoInverse::new(vec![4.0, 1.0, 1.0, 3.0], 2);
        let x = inverse.solve(&[1.0, 2.0]);
        assert_eq!(inverse.rank(), 2);
        assert!((x[0] - 1.0 / 11.0).abs() < 1e-15 && (x[1] - 7.0 / 11.0).abs() < 1e-15);
    }

    #[test]
    fn a_singular_matrix_gives_the_shortest_solution() {
        // (2, 1)ᵀ(2, 1) x = (2, 1)·5: the shortest x is (2, 1).
        let inverse = PseudoInverse::new(vec![4.0, 2.0, 2.0, 1.0], 2);
        let x = inverse.solve(&[10.0, 5.0]);
        assert_eq!(inverse.rank(), 1);
        assert!((x[0] - 2.0).abs() < 1e-14 && (x[1] - 1.0).abs() < 1e-14);
        assert_eq!(PseudoInverse::new(vec![0.0], 1).solve(&[3.0]), [0.0]);
    }

    proptest! {
        #[test]
        fn gram_matrices_are_solved_in_their_range(
            n in 1usize..9,
            rows in prop::collection::vec(prop::collection::vec(0u8..20, 9), 1..12),
            x in prop::collection::vec(-10.0f64..10.0, 9),
        ) {
            let mut gram = vec![0.0; n * n];
            for row in &rows {
                for i in 0..n {
                    for j in 0..n {
                        gram[i * n + j] += f64::from(row[i]) * f64::from(row[j]);
                    }
                }
            }
            let times = |x: &[f64]| -> Vec<f64> {
                (0..n).map(|i| (0..n).map(|j| gram[i * n + j] * x[j]).sum()).collect()
            };
            let b = times(&x);
            let inverse = PseudoInverse::new(gram.clone(), n);
            prop_assert!(inverse.rank() <= n.min(rows.len()));
            let scale = b.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            for (got, want) in times(&inverse.solve(&b)).iter().zip(&b) {
                prop_assert!((got - want).abs() < 1e-9 * scale, "{} {}", got, want);
            }
        }
    }
}
