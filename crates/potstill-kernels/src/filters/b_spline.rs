//! Uniform B-splines of degree five (de Boor, A Practical Guide to Splines, 1978).
//!
//! In the segment that starts at knot `k`, with `t ∈ [0, 1]` the place within it, a spline is `Σ_m B_m(t) c_{k+m}` with
//!
//! ```text
//! 120 B = (1 − t)⁵,  26 − 50t + 20t² + 20t³ − 20t⁴ + 5t⁵,  66 − 60t² + 30t⁴ − 10t⁵,
//!         26 + 50t + 20t² − 20t³ − 20t⁴ + 10t⁵,  1 + 5t + 10t² + 10t³ + 5t⁴ − 5t⁵,  t⁵
//! ```

use crate::Number;

/// Coefficients that make a value.
pub const TERMS: usize = 6;

/// `B_m(t)`
#[inline(always)]
pub fn basis<T: Number>(t: T) -> [T; TERMS] {
    let at = |c: [f64; 6]| polynomial(t, c);
    let rest = T::ONE - t;
    let fifth = |x: T| x * x * x * x * x * T::of(1.0 / 120.0);
    [
        fifth(rest),
        at([26.0, -50.0, 20.0, 20.0, -20.0, 5.0]),
        at([66.0, 0.0, -60.0, 0.0, 30.0, -10.0]),
        at([26.0, 50.0, 20.0, -20.0, -20.0, 10.0]),
        at([1.0, 5.0, 10.0, 10.0, 5.0, -5.0]),
        fifth(t),
    ]
}

/// `dB_m / dt`
#[inline(always)]
pub fn basis_slope<T: Number>(t: T) -> [T; TERMS] {
    let at = |c: [f64; 6]| polynomial(t, c);
    let rest = T::ONE - t;
    let fourth = |x: T, factor: f64| x * x * x * x * T::of(factor);
    [
        fourth(rest, -1.0 / 24.0),
        at([-50.0, 40.0, 60.0, -80.0, 25.0, 0.0]),
        at([0.0, -120.0, 0.0, 120.0, -50.0, 0.0]),
        at([50.0, 40.0, -60.0, -80.0, 50.0, 0.0]),
        at([5.0, 20.0, 30.0, 20.0, -25.0, 0.0]),
        fourth(t, 1.0 / 24.0),
    ]
}

/// `Σ c_n tⁿ / 120`
#[inline(always)]
fn polynomial<T: Number>(t: T, c: [f64; 6]) -> T {
    let mut sum = T::of(c[5] / 120.0);
    for c in [c[4], c[3], c[2], c[1], c[0]] {
        sum = sum.times_plus(t, T::of(c / 120.0));
    }
    sum
}

/// Coefficients of the spline that takes given values at `sites` (in segments from the first knot) and a given derivative at the last
/// knot. `values` holds a row for each site and one for the derivative, and is overwritten by the coefficients.
///
/// The matrix of B-splines at the sites has at most five diagonals to either side, and elimination without exchange of rows is stable
/// for it (de Boor, chapter XIII).
pub fn interpolate(sites: &[f64], n_segments: usize, values: &mut [f64], width: usize) {
    let mut band = band_matrix(sites, n_segments);
    let n = band.len();
    for pivot in 0..n {
        for r in pivot + 1..(pivot + SIDE + 1).min(n) {
            let factor = band[r][pivot + SIDE - r] / band[pivot][SIDE];
            for column in pivot..(pivot + SIDE + 1).min(n) {
                band[r][column + SIDE - r] -= factor * band[pivot][column + SIDE - pivot];
            }
            let (done, rest) = values.split_at_mut(r * width);
            for (to, from) in rest[..width].iter_mut().zip(&done[pivot * width..(pivot + 1) * width]) {
                *to -= factor * from;
            }
        }
    }
    for r in (0..n).rev() {
        let (own, done) = values[r * width..].split_at_mut(width);
        for column in r + 1..(r + SIDE + 1).min(n) {
            let factor = band[r][column + SIDE - r];
            let known = &done[(column - r - 1) * width..(column - r) * width];
            own.iter_mut().zip(known).for_each(|(to, from)| *to -= factor * from);
        }
        own.iter_mut().for_each(|x| *x /= band[r][SIDE]);
    }
}

/// Diagonals to either side of the main one.
const SIDE: usize = TERMS - 1;

/// B-splines at the sites, and their derivatives at the last knot: row `r` holds columns `r − SIDE ..= r + SIDE`.
fn band_matrix(sites: &[f64], n_segments: usize) -> Vec<[f64; 2 * SIDE + 1]> {
    let mut band = vec![[0.0; 2 * SIDE + 1]; sites.len() + 1];
    for (r, row) in band.iter_mut().enumerate() {
        let x = sites.get(r).copied().unwrap_or(n_segments as f64);
        let k = (x as usize).min(n_segments - 1);
        let weights = if r < sites.len() { basis(x - k as f64) } else { basis_slope(x - k as f64) };
        for (m, weight) in weights.into_iter().enumerate() {
            // Column k + m, as far from the diagonal as that is from r; weights that end up outside are zero.
            if let Some(place) = (k + m + SIDE).checked_sub(r).filter(|place| *place <= 2 * SIDE) {
                row[place] = weight;
            }
        }
    }
    band
}
