//! Small matrices: products, inverses, eigenvectors and exponentials of 3×3.

use potstill_core::system::{Mat3, Vec3, cross, dot};

/// Unit matrix.
pub const IDENTITY: Mat3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// `a · v`
pub fn apply(a: &Mat3, v: &Vec3) -> Vec3 {
    a.map(|row| dot(row, *v))
}

/// `a · b`
pub fn product(a: &Mat3, b: &Mat3) -> Mat3 {
    a.map(|row| std::array::from_fn(|j| row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]))
}

/// Transpose of `a`.
pub fn transpose(a: &Mat3) -> Mat3 {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

/// Determinant of `a`.
pub fn determinant(a: &Mat3) -> f64 {
    dot(a[0], cross(a[1], a[2]))
}

/// Inverse of `a`; `None` for a singular matrix.
pub fn inverse(a: &Mat3) -> Option<Mat3> {
    let columns = [cross(a[1], a[2]), cross(a[2], a[0]), cross(a[0], a[1])];
    let determinant = dot(a[0], columns[0]);
    let usable = determinant.is_finite() && determinant != 0.0;
    usable.then(|| transpose(&columns.map(|column| column.map(|x| x / determinant))))
}

/// Sum of the diagonal of `a`.
pub fn trace(a: &Mat3) -> f64 {
    a[0][0] + a[1][1] + a[2][2]
}

/// Exponential of `a`, by its Taylor series after scaling (and squaring back).
pub fn exponential(a: &Mat3) -> Mat3 {
    let largest = a.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
    let n_squarings = (largest / 0.05).log2().ceil().clamp(0.0, 64.0) as i32;
    let small = a.map(|row| row.map(|x| x * 0.5_f64.powi(n_squarings)));
    let (mut sum, mut term) = (IDENTITY, IDENTITY);
    // The entries are at most 0.05, so that the terms that are left out are below 1e-18.
    for k in 1..=12 {
        term = product(&term, &small).map(|row| row.map(|x| x / f64::from(k)));
        sum = std::array::from_fn(|i| std::array::from_fn(|j| sum[i][j] + term[i][j]));
    }
    (0..n_squarings).fold(sum, |power, _| product(&power, &power))
}

/// Eigenvalues and eigenvectors (as rows) of a symmetric matrix, by Jacobi's rotations.
pub fn eigen(a: &Mat3) -> (Vec3, Mat3) {
    let (mut a, mut vectors) = (*a, IDENTITY);
    for _ in 0..60 {
        let pairs = [(0, 1), (0, 2), (1, 2)];
        let off = |(p, q): (usize, usize)| a[p][q].abs();
        let (p, q) = pairs.into_iter().fold(pairs[0], |best, pair| if off(pair) > off(best) { pair } else { best });
        if off((p, q)) <= f64::EPSILON * 1e-3 * (a[0][0].abs() + a[1][1].abs() + a[2][2].abs()) {
            break;
        }
        let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
        let (sin, cos) = angle.sin_cos();
        let mut rotation = IDENTITY;
        (rotation[p][p], rotation[q][q], rotation[p][q], rotation[q][p]) = (cos, cos, -sin, sin);
        a = product(&product(&rotation, &a), &transpose(&rotation));
        vectors = product(&rotation, &vectors);
    }
    ([a[0][0], a[1][1], a[2][2]], vectors)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: &Mat3, b: &Mat3, tolerance: f64) -> bool {
        a.iter().flatten().zip(b.iter().flatten()).all(|(x, y)| (x - y).abs() <= tolerance)
    }

    fn matrix(size: f64) -> impl Strategy<Value = Mat3> {
        prop::array::uniform3(prop::array::uniform3(-size..size))
    }

    proptest! {
        #[test]
        fn inverse_undoes(a in matrix(2.0)) {
            prop_assume!(determinant(&a).abs() > 0.05);
            prop_assert!(close(&product(&a, &inverse(&a).unwrap()), &IDENTITY, 1e-10));
        }

        #[test]
        fn exponential_has_the_determinant_of_the_trace_and_its_inverse(a in matrix(1.0)) {
            let (there, back) = (exponential(&a), exponential(&a.map(|row| row.map(|x| -x))));
            prop_assert!(close(&product(&there, &back), &IDENTITY, 1e-12));
            prop_assert!((determinant(&there) / trace(&a).exp() - 1.0).abs() < 1e-12);
        }

        #[test]
        fn eigenvectors_make_the_matrix(b in matrix(3.0)) {
            let a: Mat3 = std::array::from_fn(|i| std::array::from_fn(|j| b[i][j] + b[j][i]));
            let (values, vectors) = eigen(&a);
            prop_assert!(close(&product(&vectors, &transpose(&vectors)), &IDENTITY, 1e-12));
            let scaled: Mat3 = std::array::from_fn(|k| vectors[k].map(|x| values[k] * x));
            prop_assert!(close(&product(&transpose(&vectors), &scaled), &a, 1e-11));
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(inverse(&[[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]]), None);
        let shear = exponential(&[[0.0, 3.0, 0.0], [0.0; 3], [0.0; 3]]);
        assert!(close(&shear, &[[1.0, 3.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], 1e-14));
        let (mut values, _) = eigen(&[[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 7.0]]);
        values.sort_by(f64::total_cmp);
        assert!(values.iter().zip([1.0, 3.0, 7.0]).all(|(x, y)| (x - y).abs() < 1e-14));
    }
}
