//! Filters of edges: rows of numbers that depend on the distance alone, with their derivatives.
//!
//! A filter network is a function of one number, so a table of it takes its place: cubic Hermite segments of equal length
//! between knots at which value and derivative are the network's own. With `t ∈ [0, 1]` within a segment of length δ,
//!
//! ```text
//! w(t) = (1 + 2t)(1 − t)² w₀ + t(1 − t)² δw₀′ + t²(3 − 2t) w₁ + t²(t − 1) δw₁′
//! ```
//!
//! and `w′ = dw/dt / δ` of the same polynomial, so that forces are the derivative of the energy that the table makes.
//! Continuous with its first derivative, its error falls with δ⁴. The number of segments is doubled until values and derivatives
//! between the knots are as close to the network's as was asked for.

use potstill_core::{Error, Result};

use crate::radial::Slope;
use potstill_core::number::{Number, vectorized};

/// A filter network in f64: writes values and derivatives of its row at a distance in Å.
pub trait FilterNetwork: Send + Sync + std::fmt::Debug {
    /// Padded width of the rows.
    fn width(&self) -> usize;
    /// Values and derivatives. Shapes: `[width]`; `work` is scratch.
    fn at(&self, distance: f64, work: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]);
}

/// Segments that a table starts with, and the most it may have.
const FEWEST: usize = 128;
const MOST: usize = 16_384;
/// Where the first knot stands, as a part of the cutoff: some bases are not defined at 0, and no two atoms are that close.
const NEAREST: f64 = 1e-3;

/// Filters of one layer.
#[derive(Debug)]
pub enum Filters<T> {
    /// From a table.
    Table(Table<T>),
    /// From the network itself.
    Exact(Box<dyn FilterNetwork>),
}

/// Knots: value, then derivative times segment length, `width` numbers each.
#[derive(Debug)]
pub struct Table<T> {
    knots: Vec<T>,
    width: usize,
    n_segments: usize,
    inverse_length: f64,
}

impl<T: Number> Filters<T> {
    /// A table whose values and derivatives are right to `accuracy`, relative to the largest of each.
    ///
    /// # Errors
    /// A network too rough for the finest table.
    pub fn table(network: &dyn FilterNetwork, cutoff: f64, accuracy: f64) -> Result<Self> {
        let mut n = FEWEST;
        while n <= MOST {
            let knots = knots(network, cutoff, n);
            if error_between(network, cutoff, &knots, n) <= accuracy {
                let knots = knots.into_iter().map(T::of).collect();
                let inverse_length = n as f64 / cutoff;
                return Ok(Self::Table(Table { knots, width: network.width(), n_segments: n, inverse_length }));
            }
            n *= 2;
        }
        let message =
            format!("a table of {MOST} segments does not reach {accuracy:e}; take exact filters (--filters exact)");
        Err(Error::setting("filters", message))
    }

    /// Number of segments; none for exact filters.
    pub fn n_segments(&self) -> Option<usize> {
        match self {
            Self::Table(table) => Some(table.n_segments),
            Self::Exact(_) => None,
        }
    }

    /// Rows for some distances. Shape: `[distances.len(), width]`.
    pub fn values(&self, distances: &[T], values: &mut [T]) {
        match self {
            Self::Table(table) => table.values(distances, values),
            Self::Exact(network) => {
                let width = network.width();
                let (mut value, mut slope, mut work) = (vec![0.0; width], vec![0.0; width], Vec::new());
                for (&d, row) in distances.iter().zip(values.chunks_exact_mut(width)) {
                    network.at(d.to_f64(), &mut work, &mut value, &mut slope);
                    row.iter_mut().zip(&value).for_each(|(to, from)| *to = T::of(*from));
                }
            }
        }
    }

    /// Rows and their derivatives.
    pub fn values_and_slopes(&self, distances: &[T], values: &mut [T], slopes: &mut [T]) {
        match self {
            Self::Table(table) => table.values_and_slopes(distances, values, slopes),
            Self::Exact(network) => {
                let width = network.width();
                let (mut value, mut slope, mut work) = (vec![0.0; width], vec![0.0; width], Vec::new());
                let rows = values.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width));
                for (&d, (values, slopes)) in distances.iter().zip(rows) {
                    network.at(d.to_f64(), &mut work, &mut value, &mut slope);
                    values.iter_mut().zip(&value).for_each(|(to, from)| *to = T::of(*from));
                    slopes.iter_mut().zip(&slope).for_each(|(to, from)| *to = T::of(*from));
                }
            }
        }
    }
}

fn knots(network: &dyn FilterNetwork, cutoff: f64, n: usize) -> Vec<f64> {
    let width = network.width();
    let length = cutoff / n as f64;
    let mut knots = vec![0.0; 2 * width * (n + 1)];
    let mut work = Vec::new();
    for (k, knot) in knots.chunks_exact_mut(2 * width).enumerate() {
        let (values, slopes) = knot.split_at_mut(width);
        network.at((k as f64 * length).max(NEAREST * cutoff), &mut work, values, slopes);
        slopes.iter_mut().for_each(|s| *s *= length);
    }
    knots
}

/// Largest error of values and derivatives at points between the knots, relative to the largest of each.
fn error_between(network: &dyn FilterNetwork, cutoff: f64, knots: &[f64], n: usize) -> f64 {
    let width = network.width();
    let table = Table { knots: knots.to_vec(), width, n_segments: n, inverse_length: n as f64 / cutoff };
    let (mut values, mut slopes) = (vec![0.0; width], vec![0.0; width]);
    let (mut found, mut found_slopes, mut work) = (vec![0.0; width], vec![0.0; width], Vec::new());
    let (mut largest, mut worst) = ([1e-30_f64; 2], [0.0_f64; 2]);
    // Values err most in the middle of a segment, derivatives at a fifth.
    let points = (0..2 * n).map(|k| (0.5 * (k / 2 * 2) as f64 + if k % 2 == 0 { 0.5 } else { 0.2113 }) / n as f64);
    // Atoms of real matter are no closer than that.
    for d in points.map(|x| x * cutoff).filter(|d| *d > 0.4) {
        network.at(d, &mut work, &mut values, &mut slopes);
        table.values_and_slopes(&[d], &mut found, &mut found_slopes);
        for (i, (exact, approximate)) in [(&values, &found), (&slopes, &found_slopes)].into_iter().enumerate() {
            for (a, b) in exact.iter().zip(approximate) {
                largest[i] = largest[i].max(a.abs());
                worst[i] = worst[i].max((a - b).abs());
            }
        }
    }
    (worst[0] / largest[0]).max(worst[1] / largest[1])
}

impl<T: Number> Table<T> {
    /// The four rows of a segment, and where in it the distance lies.
    #[inline(always)]
    fn segment(&self, distance: T) -> (&[T], T) {
        let x = distance.to_f64() * self.inverse_length;
        let k = (x as usize).min(self.n_segments - 1);
        let start = 2 * self.width * k;
        (&self.knots[start..start + 4 * self.width], T::of(x - k as f64))
    }

    fn values(&self, distances: &[T], values: &mut [T]) {
        let width = self.width;
        vectorized(
            #[inline(always)]
            || {
                for (&d, row) in distances.iter().zip(values.chunks_exact_mut(width)) {
                    let (knots, t) = self.segment(d);
                    let c = hermite(t);
                    let (w0, rest) = knots.split_at(width);
                    let (s0, rest) = rest.split_at(width);
                    let (w1, s1) = rest.split_at(width);
                    for ((((y, &w0), &s0), &w1), &s1) in row.iter_mut().zip(w0).zip(s0).zip(w1).zip(s1) {
                        *y = w0.times_plus(c[0], s0.times_plus(c[1], w1.times_plus(c[2], s1 * c[3])));
                    }
                }
            },
        );
    }

    fn values_and_slopes(&self, distances: &[T], values: &mut [T], slopes: &mut [T]) {
        let width = self.width;
        let inverse = T::of(self.inverse_length);
        vectorized(
            #[inline(always)]
            || {
                let rows = values.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width));
                for (&d, (values, slopes)) in distances.iter().zip(rows) {
                    let (knots, t) = self.segment(d);
                    let (c, s) = (hermite(t), hermite_slope(t).map(|s| s * inverse));
                    let (w0, rest) = knots.split_at(width);
                    let (s0, rest) = rest.split_at(width);
                    let (w1, s1) = rest.split_at(width);
                    let knots = w0.iter().zip(s0).zip(w1).zip(s1);
                    for ((y, dy), (((&w0, &s0), &w1), &s1)) in values.iter_mut().zip(slopes.iter_mut()).zip(knots) {
                        *y = w0.times_plus(c[0], s0.times_plus(c[1], w1.times_plus(c[2], s1 * c[3])));
                        *dy = w0.times_plus(s[0], s0.times_plus(s[1], w1.times_plus(s[2], s1 * s[3])));
                    }
                }
            },
        );
    }
}

/// Weights of `w₀`, `δw₀′`, `w₁`, `δw₁′`.
#[inline(always)]
fn hermite<T: Number>(t: T) -> [T; 4] {
    let rest = T::ONE - t;
    let (two, three) = (T::of(2.0), T::of(3.0));
    [(T::ONE + two * t) * rest * rest, t * rest * rest, t * t * (three - two * t), -(t * t * rest)]
}

/// Their derivatives with respect to `t`.
#[inline(always)]
fn hermite_slope<T: Number>(t: T) -> [T; 4] {
    let rest = T::ONE - t;
    let (three, six) = (T::of(3.0), T::of(6.0));
    [-(six * t * rest), rest * (T::ONE - three * t), six * t * rest, t * (three * t - T::of(2.0))]
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

    #[test]
    fn tables_are_as_accurate_as_asked_and_their_slopes_are_their_own() {
        let mut last = 0;
        for accuracy in [1e-3, 1e-5, 1e-7] {
            let Filters::Table(table) = Filters::<f64>::table(&Wave, 6.0, accuracy).unwrap() else { panic!() };
            assert!(table.n_segments > last);
            last = table.n_segments;
            let (mut values, mut slopes) = (vec![0.0; 16], vec![0.0; 16]);
            let (mut exact, mut exact_slopes) = (vec![0.0; 16], vec![0.0; 16]);
            for i in 0..500 {
                let d = 0.5 + 5.5 * f64::from(i) / 500.0;
                table.values_and_slopes(&[d], &mut values, &mut slopes);
                Wave.at(d, &mut Vec::new(), &mut exact, &mut exact_slopes);
                let mut alone = vec![0.0; 16];
                table.values(&[d], &mut alone);
                assert_eq!(alone, values);
                for k in 0..16 {
                    assert!(
                        (values[k] - exact[k]).abs() < accuracy
                            && (slopes[k] - exact_slopes[k]).abs() < 17.0 * accuracy
                    );
                }
                let h = 1e-6;
                let at = |d: f64| {
                    let mut row = vec![0.0; 16];
                    table.values(&[d], &mut row);
                    row
                };
                for ((above, below), slope) in at(d + h).iter().zip(at(d - h)).zip(&slopes) {
                    assert!(((above - below) / (2.0 * h) - slope).abs() < 1e-5);
                }
            }
        }
        assert!(Filters::<f64>::table(&Wave, 6.0, 1e-16).unwrap_err().to_string().contains("exact"));
    }
}
