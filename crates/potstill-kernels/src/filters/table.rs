//! Tables of splines in place of filter networks.
//!
//! A filter network is a function of one number, so a spline of degree five on knots of equal distance takes its place. Its derivative
//! is that of the same polynomial, so that forces are the derivative of the energy that the table makes. The spline has four continuous
//! derivatives; its error falls with the sixth power of the distance of the knots, that of the derivative with the fifth. One row of
//! coefficients for each knot makes the table small: PaiNN with 128 radial functions needs 1 MB a layer, which the second cache holds a
//! part of; cubic Hermite segments of the same accuracy took 12 MB, and waiting for them was half of the time.
//!
//! The number of knots grows until values and derivatives between them are as close to the network's as was asked for.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use potstill_core::{Error, Result};

use super::b_spline::{TERMS, basis, basis_slope};
use super::layout::{chunked, exact_rows};
use super::spline::Spline;
use super::{FilterNetwork, FilterRows};
use crate::aligned::Aligned;
use crate::number::{Number, Simd, vectorized};

/// Segments that a table starts with, and the most it may have.
const FEWEST: usize = 96;
const MOST: usize = 16_384;

/// Filters of one layer.
#[derive(Debug)]
pub enum Filters<T> {
    /// Filters from a table.
    Table(Table<T>),
    /// Filters from the network itself, with the number of parts of its rows.
    Exact(Box<dyn FilterNetwork>, usize),
}

/// Splines of the filters of one layer.
#[derive(Debug)]
pub struct Table<T> {
    /// Coefficients as kernels read them, see [`SplineRows`].
    rows: Aligned<T>,
    n_segments: usize,
    inverse_length: f64,
}

/// Filters of some edges as weighted sums of rows of a table.
///
/// The value at edge `e` is the sum over `m` of `weights[m][e]` times row `starts[e] + m`, its derivative that with `slopes`. Chunks are
/// small enough for the second cache.
#[derive(Debug, Clone, Copy)]
pub struct SplineRows<'a, T> {
    /// Shape: `[chunk, n_rows, part, lanes]`.
    numbers: &'a [T],
    n_rows: usize,
    /// First row of each edge.
    starts: &'a [u32],
    /// Shape: `[TERMS][n_edges]`.
    weights: [&'a [T]; TERMS],
    /// Shape: `[TERMS][n_edges]`.
    slopes: [&'a [T]; TERMS],
}

impl<'a, T: Number, const P: usize> FilterRows<T, P> for SplineRows<'a, T> {
    const FROM_TABLE: bool = true;
    const CHUNKS_PER_SUM: usize = 4;

    type Chunk<S: Simd> = &'a [[T::Register<S>; P]];

    #[inline(always)]
    fn chunk<S: Simd>(&self, chunk: usize) -> &'a [[T::Register<S>; P]] {
        let (rows, _) = T::registers::<S>(self.numbers).as_chunks::<P>();
        &rows[chunk * self.n_rows..(chunk + 1) * self.n_rows]
    }

    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, chunk: &'a [[T::Register<S>; P]], edge: usize) -> [T::Register<S>; P] {
        let rows = self.rows_of(chunk, edge);
        let mut value = [T::splat(simd, T::ZERO); P];
        for m in 0..TERMS {
            let weight = T::splat(simd, self.weights[m][edge]);
            for p in 0..P {
                value[p] = T::fused(simd, weight, rows[m][p], value[p]);
            }
        }
        value
    }

    #[inline(always)]
    fn value_and_slope<S: Simd>(
        &self,
        simd: S,
        chunk: &'a [[T::Register<S>; P]],
        edge: usize,
    ) -> [[T::Register<S>; P]; 2] {
        let rows = self.rows_of(chunk, edge);
        let zero = T::splat(simd, T::ZERO);
        let (mut value, mut slope) = ([zero; P], [zero; P]);
        for m in 0..TERMS {
            let weight = T::splat(simd, self.weights[m][edge]);
            let weight_slope = T::splat(simd, self.slopes[m][edge]);
            for p in 0..P {
                value[p] = T::fused(simd, weight, rows[m][p], value[p]);
                slope[p] = T::fused(simd, weight_slope, rows[m][p], slope[p]);
            }
        }
        [value, slope]
    }
}

impl<T: Number> SplineRows<'_, T> {
    /// Rows that the filter of an edge is made of.
    #[inline(always)]
    fn rows_of<'r, R>(&self, rows: &'r [R], edge: usize) -> &'r [R; TERMS] {
        let start = self.starts[edge] as usize;
        &rows[start..start + TERMS].as_chunks().0[0]
    }
}

/// Buffers of [`SplineRows`], reused between calls.
#[derive(Debug, Default)]
pub struct RowBuffers<T> {
    starts: Vec<u32>,
    places: Vec<T>,
    weights: Vec<T>,
    slopes: Vec<T>,
    exact: Vec<T>,
}

impl<T: Number> Filters<T> {
    /// Table whose values and derivatives are right to `accuracy`, relative to the largest of each; rows have so many parts.
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

    /// Filters at some distances in Å.
    pub fn rows<'a>(&'a self, distances: &[T], buffers: &'a mut RowBuffers<T>) -> SplineRows<'a, T> {
        let n = distances.len();
        buffers.starts.resize(n, 0);
        buffers.weights.resize(TERMS * n, T::ZERO);
        buffers.slopes.resize(TERMS * n, T::ZERO);
        let (numbers, n_rows) = match self {
            Self::Table(table) => {
                buffers.places.resize(n, T::ZERO);
                table.place(distances, buffers);
                (&*table.rows, table.n_segments + TERMS - 1)
            }
            // A table with two rows for each edge: value and derivative.
            Self::Exact(network, parts) => {
                let n_rows = 2 * n + TERMS - 2;
                buffers.starts.iter_mut().zip((0..).step_by(2)).for_each(|(start, row)| *start = row);
                for (array, m) in [(&mut buffers.weights, 0), (&mut buffers.slopes, 1)] {
                    array.fill(T::ZERO);
                    array[m * n..(m + 1) * n].fill(T::ONE);
                }
                exact_rows(network.as_ref(), *parts, distances, n_rows, &mut buffers.exact);
                (&*buffers.exact, n_rows)
            }
        };
        let terms = |array: &'a [T]| std::array::from_fn(|m| &array[m * n..(m + 1) * n]);
        let (weights, slopes) = (terms(&buffers.weights), terms(&buffers.slopes));
        SplineRows { numbers, n_rows, starts: &buffers.starts, weights, slopes }
    }
}

impl<T: Number> Table<T> {
    /// Finds the rows of each distance and their weights.
    fn place(&self, distances: &[T], buffers: &mut RowBuffers<T>) {
        let n = distances.len();
        let RowBuffers { starts, places, weights, slopes, .. } = buffers;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::lanes_here;
    use crate::radial::Slope;

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
        let mut buffers = RowBuffers::default();
        let rows = filters.rows(&[d], &mut buffers);
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
