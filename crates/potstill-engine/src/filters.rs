//! Filters of edges: rows of numbers that depend on the distance alone, with their derivatives.
//!
//! A filter network is a function of one number, so a table of it takes its place: a spline of degree five on knots of equal
//! distance δ. In the segment that starts at knot `k`, with `t ∈ [0, 1]` the place within it, the value is a sum of six
//! neighbouring coefficients,
//!
//! ```text
//! w(t) = Σ_m B_m(t) c_{k+m},   m = 0..5
//! 120 B = (1 − t)⁵,  26 − 50t + 20t² + 20t³ − 20t⁴ + 5t⁵,  66 − 60t² + 30t⁴ − 10t⁵,
//!         26 + 50t + 20t² − 20t³ − 20t⁴ + 10t⁵,  1 + 5t + 10t² + 10t³ + 5t⁴ − 5t⁵,  t⁵
//! ```
//!
//! (the uniform B-splines: de Boor, A Practical Guide to Splines, 1978), and `w′ = dw/dt / δ` of the same polynomial, so that
//! forces are the derivative of the energy that the table makes. The coefficients interpolate the network. The spline has four
//! continuous derivatives; its error falls with δ⁶, that of the derivative with δ⁵. One row of coefficients for each knot keeps the
//! table small: PaiNN with 128 radial functions needs 1 MB a layer, which the second cache holds a part of; cubic Hermite segments of
//! the same accuracy took 12 MB, and waiting for them was half of the time.
//!
//! The number of knots grows until values and derivatives between them are as close to the network's as was asked for.

use potstill_core::{Error, Result};
use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::radial::Slope;
use crate::work::resize;
use potstill_kernels::number::{Number, Simd, lanes_here, vectorized};

/// A filter network in f64: writes values and derivatives of its row at a distance in Å.
pub trait FilterNetwork: Send + Sync + std::fmt::Debug {
    /// Padded width of the rows: `parts` times that of the features.
    fn width(&self) -> usize;
    /// Values and derivatives. Shapes: `[width]`; `work` is scratch.
    fn at(&self, distance: f64, work: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]);
}

/// Coefficients that make a value.
pub const TERMS: usize = 6;
/// Segments that a table starts with, and the most it may have.
const FEWEST: usize = 96;
const MOST: usize = 16_384;
/// Where the first knot stands, as a part of the cutoff: some bases are not defined at 0, and no two atoms are that close.
const NEAREST: f64 = 1e-3;

/// Filters of one layer, each row of `parts` parts.
#[derive(Debug)]
pub enum Filters<T> {
    /// From a table.
    Table(Table<T>),
    /// From the network itself.
    Exact(Box<dyn FilterNetwork>, usize),
}

/// A spline of each filter.
#[derive(Debug)]
pub struct Table<T> {
    /// Coefficients as kernels read them, see [`Rows`].
    rows: Aligned<T>,
    n_segments: usize,
    inverse_length: f64,
}

/// Filters at some edges, for kernels: the value at edge `e` is the sum over `m` of `weights[m][e]` times row `starts[e] + m`, its
/// derivative that with `slopes`.
///
/// A kernel works on one register of each part at a time, through all edges; such a chunk of a table is small enough for the second
/// cache. Shape of `numbers`: `[chunk, n_rows, part, lanes]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    numbers: &'a [T],
    n_rows: usize,
    /// First row of each edge.
    pub starts: &'a [u32],
    /// Shape: `[TERMS][n_edges]`.
    pub weights: [&'a [T]; TERMS],
    /// Shape: `[TERMS][n_edges]`.
    pub slopes: [&'a [T]; TERMS],
}

impl<'a, T: Number> Rows<'a, T> {
    /// Rows of a chunk of `P` parts.
    #[inline(always)]
    pub fn chunk<S: Simd, const P: usize>(&self, chunk: usize) -> &'a [[T::Register<S>; P]] {
        let (rows, _) = T::registers::<S>(self.numbers).as_chunks::<P>();
        &rows[chunk * self.n_rows..(chunk + 1) * self.n_rows]
    }

    /// The rows that the edge's value is made of.
    #[inline(always)]
    pub fn at<'r, R>(&self, rows: &'r [R], edge: usize) -> &'r [R; TERMS] {
        let start = self.starts[edge] as usize;
        &rows[start..start + TERMS].as_chunks().0[0]
    }
}

/// What [`Rows`] are made of.
#[derive(Debug, Default)]
pub struct RowWork<T> {
    starts: Vec<u32>,
    places: Vec<T>,
    weights: Vec<T>,
    slopes: Vec<T>,
    exact: Vec<T>,
}

impl<T: Number> Filters<T> {
    /// A table whose values and derivatives are right to `accuracy`, relative to the largest of each.
    ///
    /// # Errors
    /// A network too rough for the finest table.
    pub fn table(network: &dyn FilterNetwork, parts: usize, cutoff: f64, accuracy: f64) -> Result<Self> {
        let mut n = FEWEST;
        loop {
            let spline = Spline::new(network, cutoff, n);
            let error = spline.error(network);
            if error <= accuracy {
                let rows = Aligned::new(&chunked(&spline.coefficients, network.width() / parts, parts));
                return Ok(Self::Table(Table { rows, n_segments: n, inverse_length: n as f64 / cutoff }));
            }
            if n == MOST {
                break;
            }
            // Where the error falls with the fifth power, that many are enough.
            let growth = (error / accuracy).powf(0.2).clamp(1.1, 2.0);
            n = ((n as f64 * growth) as usize).min(MOST);
        }
        let message =
            format!("a table of {MOST} segments does not reach {accuracy:e}; take exact filters (--filters exact)");
        Err(Error::setting("filters", message))
    }

    /// Number of segments; none for exact filters.
    pub fn n_segments(&self) -> Option<usize> {
        match self {
            Self::Table(table) => Some(table.n_segments),
            Self::Exact(..) => None,
        }
    }

    /// Looks up the filters of some distances.
    pub fn rows<'a>(&'a self, distances: &[T], work: &'a mut RowWork<T>) -> Rows<'a, T> {
        let n = distances.len();
        work.starts.resize(n, 0);
        for array in [&mut work.weights, &mut work.slopes] {
            resize(array, TERMS * n);
        }
        let (numbers, n_rows) = match self {
            Self::Table(table) => {
                resize(&mut work.places, n);
                table.place(distances, work);
                (&*table.rows, table.n_segments + TERMS - 1)
            }
            // A table with two rows for each edge: value and derivative.
            Self::Exact(network, parts) => {
                let n_rows = 2 * n + TERMS - 2;
                work.starts.iter_mut().zip((0..).step_by(2)).for_each(|(start, row)| *start = row);
                for (array, m) in [(&mut work.weights, 0), (&mut work.slopes, 1)] {
                    array.fill(T::ZERO);
                    array[m * n..(m + 1) * n].fill(T::ONE);
                }
                exact_rows(network.as_ref(), *parts, distances, n_rows, &mut work.exact);
                (&*work.exact, n_rows)
            }
        };
        let terms = |array: &'a [T]| std::array::from_fn(|m| &array[m * n..(m + 1) * n]);
        Rows { numbers, n_rows, starts: &work.starts, weights: terms(&work.weights), slopes: terms(&work.slopes) }
    }
}

impl<T: Number> Table<T> {
    /// Which rows, with which weights.
    fn place(&self, distances: &[T], work: &mut RowWork<T>) {
        let n = distances.len();
        let RowWork { starts, places, weights, slopes, .. } = work;
        let last = self.n_segments as i32 - 1;
        vectorized(
            #[inline(always)]
            || {
                for ((&d, start), place) in distances.iter().zip(starts.iter_mut()).zip(places.iter_mut()) {
                    let x = d.to_f64() * self.inverse_length;
                    let k = (x as i32).clamp(0, last);
                    (*start, *place) = (k as u32, T::of(x - f64::from(k)));
                }
                let inverse = T::of(self.inverse_length);
                let [w0, w1, w2, w3, w4, w5] = cut_terms(weights, n);
                let [s0, s1, s2, s3, s4, s5] = cut_terms(slopes, n);
                for (i, &t) in places[..n].iter().enumerate() {
                    [w0[i], w1[i], w2[i], w3[i], w4[i], w5[i]] = basis(t);
                    [s0[i], s1[i], s2[i], s3[i], s4[i], s5[i]] = basis_slope(t).map(
                        #[inline(always)]
                        |s| s * inverse,
                    );
                }
            },
        );
    }
}

#[inline(always)]
fn cut_terms<T>(array: &mut [T], n: usize) -> [&mut [T]; TERMS] {
    let (a, rest) = array.split_at_mut(n);
    let (b, rest) = rest.split_at_mut(n);
    let (c, rest) = rest.split_at_mut(n);
    let (d, rest) = rest.split_at_mut(n);
    let (e, f) = rest.split_at_mut(n);
    [a, b, c, d, e, &mut f[..n]]
}

/// `B_m(t)`
#[inline(always)]
fn basis<T: Number>(t: T) -> [T; TERMS] {
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

/// `B_m′(t)`
#[inline(always)]
fn basis_slope<T: Number>(t: T) -> [T; TERMS] {
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

/// From rows of width `parts * wide` to chunks; see [`Rows`].
fn chunked<T: Number>(rows: &[f64], wide: usize, parts: usize) -> Vec<T> {
    let n_rows = rows.len() / (wide * parts);
    let mut out = vec![T::ZERO; rows.len()];
    for (r, row) in rows.chunks_exact(wide * parts).enumerate() {
        put_row(row, r, n_rows, parts, &mut out);
    }
    out
}

/// Writes row `r` of a table into its chunks.
fn put_row<T: Number>(row: &[f64], r: usize, n_rows: usize, parts: usize, out: &mut [T]) {
    let lanes = lanes_here::<T>();
    for (part, numbers) in row.chunks_exact(row.len() / parts).enumerate() {
        for (chunk, numbers) in numbers.chunks_exact(lanes).enumerate() {
            let start = ((chunk * n_rows + r) * parts + part) * lanes;
            out[start..start + lanes].iter_mut().zip(numbers).for_each(|(to, &from)| *to = T::of(from));
        }
    }
}

fn exact_rows<T: Number>(network: &dyn FilterNetwork, parts: usize, distances: &[T], n_rows: usize, out: &mut Vec<T>) {
    let width = network.width();
    out.clear();
    out.resize(n_rows * width, T::ZERO);
    let (mut values, mut slopes, mut work) = (vec![0.0; width], vec![0.0; width], Vec::new());
    for (e, d) in distances.iter().enumerate() {
        network.at(d.to_f64(), &mut work, &mut values, &mut slopes);
        put_row(&values, 2 * e, n_rows, parts, out);
        put_row(&slopes, 2 * e + 1, n_rows, parts, out);
    }
}

/// Interpolating splines of all filters of a network, in f64.
struct Spline {
    /// Shape: `[n_segments + 5, width]`.
    coefficients: Vec<f64>,
    width: usize,
    n_segments: usize,
    cutoff: f64,
}

impl Spline {
    /// Interpolates at all knots and in the middle of the first two and of the last segment; the derivative at the cutoff is the
    /// network's as well, so that what vanishes there smoothly still does.
    fn new(network: &dyn FilterNetwork, cutoff: f64, n_segments: usize) -> Self {
        let width = network.width();
        let n = n_segments as f64;
        let mut sites = vec![0.0, 0.5, 1.0, 1.5];
        sites.extend((2..n_segments).map(|k| k as f64));
        sites.extend([n - 0.5, n]);
        let at = |site: f64| (site * cutoff / n).max(NEAREST * cutoff);
        let mut coefficients = vec![0.0; (sites.len() + 1) * width];
        coefficients.par_chunks_exact_mut(width).zip(&sites).for_each_init(
            || (vec![0.0; width], Vec::new()),
            |(slopes, work), (values, &site)| network.at(at(site), work, values, slopes),
        );
        let last = &mut coefficients[sites.len() * width..];
        network.at(cutoff, &mut Vec::new(), &mut vec![0.0; width], last);
        last.iter_mut().for_each(|slope| *slope *= cutoff / n);
        solve(&sites, n_segments, &mut coefficients, width);
        Self { coefficients, width, n_segments, cutoff }
    }

    /// Largest error of values and derivatives at points between the knots, relative to the largest of each.
    fn error(&self, network: &dyn FilterNetwork) -> f64 {
        let n = self.n_segments;
        let inverse = n as f64 / self.cutoff;
        // Values of splines of odd degree err most in the middle of a segment, derivatives at a quarter. Atoms of real matter
        // are no closer than that.
        let points: Vec<f64> =
            (0..n).flat_map(|k| [k as f64 + 0.5, k as f64 + 0.25]).filter(|x| x / inverse > 0.4).collect();
        let found = points.par_iter().map(|&x| {
            let (mut values, mut slopes) = (vec![0.0; self.width], vec![0.0; self.width]);
            network.at(x / inverse, &mut Vec::new(), &mut values, &mut slopes);
            let k = x as usize;
            let t = x - k as f64;
            let (weights, weight_slopes) = (basis(t), basis_slope(t));
            let (mut largest, mut worst) = ([1e-30_f64; 2], [0.0_f64; 2]);
            for c in 0..self.width {
                let sum = |weights: &[f64; TERMS]| -> f64 {
                    weights.iter().enumerate().map(|(m, w)| w * self.coefficients[(k + m) * self.width + c]).sum()
                };
                for (i, (exact, found)) in
                    [(values[c], sum(&weights)), (slopes[c], sum(&weight_slopes) * inverse)].into_iter().enumerate()
                {
                    largest[i] = largest[i].max(exact.abs());
                    worst[i] = worst[i].max((exact - found).abs());
                }
            }
            (largest, worst)
        });
        let higher = |a: [f64; 2], b: [f64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
        let (largest, worst) = found.reduce(|| ([1e-30; 2], [0.0; 2]), |a, b| (higher(a.0, b.0), higher(a.1, b.1)));
        (worst[0] / largest[0]).max(worst[1] / largest[1])
    }
}

/// Turns values at the sites, and after them the derivative at the last site, into coefficients, in place. The matrix of B-splines
/// at the sites has at most five diagonals to either side, and elimination without exchange of rows is stable for it (de Boor,
/// chapter XIII).
fn solve(sites: &[f64], n_segments: usize, values: &mut [f64], width: usize) {
    const SIDE: usize = TERMS - 1;
    let n = sites.len() + 1;
    let mut band = vec![[0.0; 2 * SIDE + 1]; n];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wave;

    impl FilterNetwork for Wave {
        fn width(&self) -> usize {
            16
        }

        fn at(&self, d: f64, _: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]) {
            for k in 0..16 {
                let f = 1.0 + k as f64;
                (values[k], slopes[k]) = ((f * d).sin(), f * (f * d).cos());
            }
        }
    }

    /// Value and derivative, as a kernel would read them.
    fn row(filters: &Filters<f64>, d: f64) -> [Vec<f64>; 2] {
        let mut work = RowWork::default();
        let rows = filters.rows(&[d], &mut work);
        let lanes = lanes_here::<f64>();
        let sum = |weights: &[&[f64]; TERMS], i: usize| -> f64 {
            let at =
                |m: usize| rows.numbers[(i / lanes * rows.n_rows + rows.starts[0] as usize + m) * lanes + i % lanes];
            (0..TERMS).map(|m| weights[m][0] * at(m)).sum()
        };
        [(0..16).map(|i| sum(&rows.weights, i)).collect(), (0..16).map(|i| sum(&rows.slopes, i)).collect()]
    }

    #[test]
    fn tables_are_as_accurate_as_asked_and_their_slopes_are_their_own() {
        let mut last = 0;
        for accuracy in [1e-3, 1e-5, 1e-7] {
            let filters = Filters::<f64>::table(&Wave, 1, 6.0, accuracy).unwrap();
            assert!(filters.n_segments().unwrap() > last);
            last = filters.n_segments().unwrap();
            let (mut exact, mut exact_slopes) = (vec![0.0; 16], vec![0.0; 16]);
            for i in 0..500 {
                let d = 0.5 + 5.5 * f64::from(i) / 500.0;
                let [values, slopes] = row(&filters, d);
                Wave.at(d, &mut Vec::new(), &mut exact, &mut exact_slopes);
                for k in 0..16 {
                    assert!(
                        (values[k] - exact[k]).abs() < accuracy
                            && (slopes[k] - exact_slopes[k]).abs() < 17.0 * accuracy
                    );
                }
                let h = 1e-6;
                for ((above, below), slope) in row(&filters, d + h)[0].iter().zip(&row(&filters, d - h)[0]).zip(&slopes)
                {
                    assert!(((above - below) / (2.0 * h) - slope).abs() < 1e-5);
                }
            }
        }
        assert!(Filters::<f64>::table(&Wave, 1, 6.0, 1e-16).unwrap_err().to_string().contains("exact"));
    }
}
