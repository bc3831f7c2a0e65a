//! Tables of splines in place of filter networks.
//!
//! A filter network is a function of one number, so a spline of degree five on knots of equal distance takes its place. Its derivative
//! is that of the same polynomial, so that forces are the derivative of the energy that the table makes. The spline has four continuous
//! derivatives; its error falls with the sixth power of the distance of the knots, that of the derivative with the fifth. One row of
//! coefficients for each knot makes the table small: PaiNN with 128 radial functions needs 1 MB a layer, which the second cache holds a
//! part of; cubic Hermite segments of the same accuracy took 12 MB, and waiting for them was half of the time.
//!
//! The number of knots grows until values and derivatives between them are as close to the networks' as was asked for. All layers have
//! the same knots, so that the place of an edge among them is found once for all.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use std::ops::Range;

use potstill_core::{Error, Result};

use super::b_spline::{TERMS, basis, basis_slope};
use super::layout::{chunked, exact_rows};
use super::spline::Spline;
use super::{FilterNetwork, FilterRows};
use crate::aligned::Aligned;
use crate::edges::EdgeEnds;
use crate::number::{Number, Simd, vectorized};
use crate::rows::LANES;

/// Segments that a table starts with, and the most it may have.
const FEWEST: usize = 96;
const MOST: usize = 16_384;

/// Filters of all layers of a network.
#[derive(Debug)]
pub enum Filters<T> {
    /// Filters from tables.
    Tables(Tables<T>),
    /// Filters from the networks themselves, with the number of parts of their rows.
    Exact(Vec<Box<dyn FilterNetwork>>, usize),
}

/// Splines of the filters of all layers, on the same knots.
#[derive(Debug)]
pub struct Tables<T> {
    /// Coefficients of each layer as kernels read them, see [`SplineRows`].
    layers: Vec<Aligned<T>>,
    n_segments: usize,
    inverse_length: f64,
}

/// Edge as the engine's kernels read it, with the rows of a table that make its filter.
///
/// The filter is the sum over `m` of `weights[m]` times row `row + m`, its derivative with respect to the distance that with `slopes`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct PlacedEdge<T> {
    /// Atom at the other end.
    pub other: u32,
    /// Row of sums that belongs to the other end; for kernels that write there.
    pub sums: u32,
    /// First row of the table.
    pub row: u32,
    /// Unit vector from the atom to the other.
    pub direction: [T; 3],
    /// Weights of the rows in the filter.
    pub weights: [T; TERMS],
    /// Weights of the rows in its derivative.
    pub slopes: [T; TERMS],
}

/// Read-only view of placed edges that are grouped by an atom, side by side for each.
#[derive(Debug, Clone, Copy)]
pub struct PlacedEdges<'a, T> {
    /// First edge of each atom, and the number of edges at the end. Shape: `[n_atoms + 1]`.
    pub first: &'a [usize],
    /// Edges. Shape: `[n_edges]`.
    pub edges: &'a [PlacedEdge<T>],
}

impl<T: Copy> EdgeEnds<T> for PlacedEdges<'_, T> {
    #[inline(always)]
    fn of(&self, atom: usize) -> Range<usize> {
        self.first[atom]..self.first[atom + 1]
    }

    #[inline(always)]
    fn other(&self, edge: usize) -> usize {
        self.edges[edge].other as usize
    }

    #[inline(always)]
    fn direction(&self, edge: usize) -> [T; 3] {
        self.edges[edge].direction
    }
}

/// Filters of some edges as weighted sums of rows of a table. Chunks are small enough for the second cache.
#[derive(Debug, Clone, Copy)]
pub struct SplineRows<'a, T> {
    /// Shape: `[chunk, n_rows, part, lanes]`.
    numbers: &'a [T],
    n_rows: usize,
    /// Number of the table's first row.
    first_row: u32,
    edges: &'a [PlacedEdge<T>],
}

impl<'a, T: Number> SplineRows<'a, T> {
    /// Edges whose filters these are.
    pub fn edges(&self) -> &'a [PlacedEdge<T>] {
        self.edges
    }

    /// Chunk of all rows.
    #[inline(always)]
    pub fn table<S: Simd, const P: usize>(&self, chunk: usize) -> &'a [[T::Register<S>; P]] {
        let (rows, _) = T::registers::<S>(self.numbers).as_chunks::<P>();
        &rows[chunk * self.n_rows..(chunk + 1) * self.n_rows]
    }

    /// Rows that the filter of an edge is made of.
    #[inline(always)]
    pub fn rows_of<'r, R>(&self, table: &'r [R], edge: &PlacedEdge<T>) -> &'r [R; TERMS] {
        let start = edge.row.wrapping_sub(self.first_row) as usize;
        &table[start..start + TERMS].as_chunks().0[0]
    }
}

impl<T: Number> PlacedEdge<T> {
    /// Filter, given its rows.
    #[inline(always)]
    pub fn value<S: Simd, const P: usize>(&self, simd: S, rows: &[[T::Register<S>; P]; TERMS]) -> [T::Register<S>; P] {
        let mut value = rows[0];
        let weight = T::splat(simd, self.weights[0]);
        for p in 0..P {
            value[p] = T::times(simd, weight, rows[0][p]);
        }
        for m in 1..TERMS {
            let weight = T::splat(simd, self.weights[m]);
            for p in 0..P {
                value[p] = T::fused(simd, weight, rows[m][p], value[p]);
            }
        }
        value
    }

    /// Part `p` of the filter, and of its derivative, given its rows. One part at a time, since the rows of all are more than there are
    /// registers.
    #[inline(always)]
    pub fn part<S: Simd, const P: usize>(
        &self,
        simd: S,
        rows: &[[T::Register<S>; P]; TERMS],
        p: usize,
    ) -> [T::Register<S>; 2] {
        let mut value = T::times(simd, T::splat(simd, self.weights[0]), rows[0][p]);
        let mut slope = T::times(simd, T::splat(simd, self.slopes[0]), rows[0][p]);
        for m in 1..TERMS {
            value = T::fused(simd, T::splat(simd, self.weights[m]), rows[m][p], value);
            slope = T::fused(simd, T::splat(simd, self.slopes[m]), rows[m][p], slope);
        }
        [value, slope]
    }
}

impl<'a, T: Number, const P: usize> FilterRows<T, P> for SplineRows<'a, T> {
    const FROM_TABLE: bool = true;
    const CHUNKS_PER_SUM: usize = 4;

    type Chunk<S: Simd> = &'a [[T::Register<S>; P]];

    #[inline(always)]
    fn chunk<S: Simd>(&self, chunk: usize) -> &'a [[T::Register<S>; P]] {
        self.table::<S, P>(chunk)
    }

    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, chunk: &'a [[T::Register<S>; P]], edge: usize) -> [T::Register<S>; P] {
        let edge = &self.edges[edge];
        edge.value::<S, P>(simd, self.rows_of(chunk, edge))
    }

    #[inline(always)]
    fn value_and_slope<S: Simd>(
        &self,
        simd: S,
        chunk: &'a [[T::Register<S>; P]],
        edge: usize,
    ) -> [[T::Register<S>; P]; 2] {
        let edge = &self.edges[edge];
        let rows = self.rows_of(chunk, edge);
        let (mut value, mut slope) = (rows[0], rows[0]);
        for p in 0..P {
            [value[p], slope[p]] = edge.part::<S, P>(simd, rows, p);
        }
        [value, slope]
    }
}

impl<T: Number> Filters<T> {
    /// Tables whose values and derivatives are right to `accuracy`, relative to the largest of each in the layer; rows have so many
    /// parts.
    ///
    /// # Errors
    /// A network too rough for the finest table.
    pub fn tables(networks: &[Box<dyn FilterNetwork>], parts: usize, cutoff: f64, accuracy: f64) -> Result<Self> {
        let mut n = FEWEST;
        loop {
            let splines: Vec<_> = networks.iter().map(|network| Spline::new(network.as_ref(), cutoff, n)).collect();
            let errors = splines.iter().zip(networks).map(|(spline, network)| spline.error(network.as_ref()));
            let error = errors.fold(0.0, f64::max);
            if error <= accuracy {
                let rows = splines.iter().zip(networks).map(|(spline, network)| {
                    Aligned::new(&chunked(&spline.coefficients, network.width() / parts, parts))
                });
                return Ok(Self::Tables(Tables {
                    layers: rows.collect(),
                    n_segments: n,
                    inverse_length: n as f64 / cutoff,
                }));
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
            Self::Tables(tables) => Some(tables.n_segments),
            Self::Exact(..) => None,
        }
    }

    /// Finds the rows of edges with some lengths in Å, and their weights. Shapes: `[n_edges]`, all edges of a list.
    pub fn place(&self, distances: &[T], edges: &mut [PlacedEdge<T>]) {
        match self {
            Self::Tables(tables) => tables.place(distances, edges),
            // A table with two rows for each edge: value and derivative.
            Self::Exact(..) => {
                for (edge, row) in edges.iter_mut().zip((0..).step_by(2)) {
                    edge.row = row;
                    (edge.weights, edge.slopes) = ([T::ZERO; TERMS], [T::ZERO; TERMS]);
                    (edge.weights[0], edge.slopes[1]) = (T::ONE, T::ONE);
                }
            }
        }
    }

    /// Filters of a layer for a range of the edges of a list, all of which are given with their lengths in Å; `exact` is a buffer.
    pub fn rows<'a>(
        &'a self,
        layer: usize,
        (distances, edges): (&[T], &'a [PlacedEdge<T>]),
        range: Range<usize>,
        exact: &'a mut Vec<T>,
    ) -> SplineRows<'a, T> {
        match self {
            Self::Tables(tables) => SplineRows {
                numbers: &tables.layers[layer],
                n_rows: tables.n_segments + TERMS - 1,
                first_row: 0,
                edges: &edges[range],
            },
            Self::Exact(networks, parts) => {
                let n_rows = 2 * range.len() + TERMS - 2;
                exact_rows(networks[layer].as_ref(), *parts, &distances[range.clone()], n_rows, exact);
                let first_row = edges.get(range.start).map_or(0, |edge| edge.row);
                SplineRows { numbers: exact, n_rows, first_row, edges: &edges[range] }
            }
        }
    }
}

impl<T: Number> Tables<T> {
    /// Finds the rows of each distance and their weights.
    fn place(&self, distances: &[T], edges: &mut [PlacedEdge<T>]) {
        let last = self.n_segments as i32 - 1;
        let inverse = T::of(self.inverse_length);
        vectorized(
            #[inline(always)]
            || {
                for (distances, edges) in distances.chunks(LANES).zip(edges.chunks_mut(LANES)) {
                    let (mut rows, mut places) = ([0; LANES], [T::ZERO; LANES]);
                    for (i, d) in distances.iter().enumerate() {
                        let x = d.to_f64() * self.inverse_length;
                        let k = (x as i32).clamp(0, last);
                        (rows[i], places[i]) = (k as u32, T::of(x - f64::from(k)));
                    }
                    let (mut weights, mut slopes) = ([[T::ZERO; LANES]; TERMS], [[T::ZERO; LANES]; TERMS]);
                    for i in 0..LANES {
                        let (values, derivatives) = (basis(places[i]), basis_slope(places[i]));
                        for m in 0..TERMS {
                            (weights[m][i], slopes[m][i]) = (values[m], derivatives[m] * inverse);
                        }
                    }
                    for (i, edge) in edges.iter_mut().enumerate() {
                        edge.row = rows[i];
                        for m in 0..TERMS {
                            (edge.weights[m], edge.slopes[m]) = (weights[m][i], slopes[m][i]);
                        }
                    }
                }
            },
        );
    }
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
        let (mut edges, mut exact) = ([PlacedEdge::default()], Vec::new());
        filters.place(&[d], &mut edges);
        let rows = filters.rows(0, (&[d], &edges), 0..1, &mut exact);
        let (lanes, row) = (lanes_here::<f64>(), edges[0].row as usize);
        let sum = |weights: &[f64; TERMS], i: usize| -> f64 {
            let at = |m: usize| rows.numbers[(i / lanes * rows.n_rows + row + m) * lanes + i % lanes];
            (0..TERMS).map(|m| weights[m] * at(m)).sum()
        };
        [edges[0].weights, edges[0].slopes].map(|weights| (0..16).map(|i| sum(&weights, i)).collect())
    }

    #[test]
    fn tables_are_as_accurate_as_asked_and_their_slopes_are_their_own() {
        let networks: Vec<Box<dyn FilterNetwork>> = vec![Box::new(Wave)];
        let mut last = 0;
        for accuracy in [1e-3, 1e-5, 1e-7] {
            let filters = Filters::<f64>::tables(&networks, 1, 6.0, accuracy).unwrap();
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
        assert!(Filters::<f64>::tables(&networks, 1, 6.0, 1e-16).unwrap_err().to_string().contains("exact"));
    }
}
