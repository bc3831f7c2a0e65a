//! Filters as weighted sums of a few rows of a matrix: linear functions of radial functions, most of which vanish at a distance.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use super::FilterRows;
use crate::number::{Number, Simd};

/// Radial functions of each edge that do not vanish, about 14 of 128 Gaussians.
#[derive(Debug, Clone, PartialEq)]
pub struct RadialRows {
    /// Number of radial functions.
    pub n_radial: usize,
    /// First entry of each edge, and the number of entries at the end. Shape: `[n_edges + 1]`.
    pub first: Vec<usize>,
    /// Radial function of each entry.
    pub column: Vec<u32>,
    /// Value and derivative with respect to the distance of each entry.
    pub value: Vec<[f64; 2]>,
}

/// Filters of edges as sums over their entries: `Σ value · row[column]` of a matrix with a row for each radial function.
#[derive(Debug, Clone, Copy)]
pub struct SparseRows<'a, T> {
    /// The matrix. Shape: `[chunk, n_radial, part, lanes]`.
    pub table: &'a [T],
    /// Number of radial functions.
    pub n_radial: usize,
    /// First entry of each edge, as in [`RadialRows`].
    pub first: &'a [usize],
    /// Radial function of each entry.
    pub column: &'a [u32],
    /// Value and derivative of each entry.
    pub value: &'a [[T; 2]],
    /// Number in [`RadialRows`] of each edge of a kernel.
    pub edge: &'a [u32],
}

impl<'a, T: Number> SparseRows<'a, T> {
    /// Radial functions of an edge with their values and derivatives.
    #[inline(always)]
    fn entries(&self, edge: usize) -> (&'a [u32], &'a [[T; 2]]) {
        let edge = self.edge[edge] as usize;
        let own = self.first[edge]..self.first[edge + 1];
        (&self.column[own.clone()], &self.value[own])
    }

    /// Adds the gradient of the matrix, given those of the filter of an edge and, with `SLOPES`, of its derivative.
    #[inline(always)]
    pub fn add_gradient<S: Simd, const P: usize, const SLOPES: bool>(
        &self,
        simd: S,
        table: &mut [[T::Register<S>; P]],
        edge: usize,
        [gradient, slope_gradient]: [[T::Register<S>; P]; 2],
    ) {
        let (column, value) = self.entries(edge);
        let n = column.len().min(value.len());
        for i in 0..n {
            let row = &mut table[column[i] as usize];
            let weight = T::splat(simd, value[i][0]);
            for p in 0..P {
                row[p] = T::fused(simd, weight, gradient[p], row[p]);
            }
            if SLOPES {
                let weight = T::splat(simd, value[i][1]);
                for p in 0..P {
                    row[p] = T::fused(simd, weight, slope_gradient[p], row[p]);
                }
            }
        }
    }
}

impl<'a, T: Number, const P: usize> FilterRows<T, P> for SparseRows<'a, T> {
    const FROM_TABLE: bool = true;
    // A chunk of the matrix of 128 radial functions, 24 KB in f32, takes half of the first cache.
    const CHUNKS_PER_SUM: usize = 1;

    type Chunk<S: Simd> = &'a [[T::Register<S>; P]];

    #[inline(always)]
    fn chunk<S: Simd>(&self, chunk: usize) -> &'a [[T::Register<S>; P]] {
        let (rows, _) = T::registers::<S>(self.table).as_chunks::<P>();
        &rows[chunk * self.n_radial..(chunk + 1) * self.n_radial]
    }

    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, chunk: &'a [[T::Register<S>; P]], edge: usize) -> [T::Register<S>; P] {
        let (column, value) = self.entries(edge);
        let mut sum = [T::splat(simd, T::ZERO); P];
        let n = column.len().min(value.len());
        for i in 0..n {
            let row = &chunk[column[i] as usize];
            let weight = T::splat(simd, value[i][0]);
            for p in 0..P {
                sum[p] = T::fused(simd, weight, row[p], sum[p]);
            }
        }
        sum
    }

    #[inline(always)]
    fn value_and_slope<S: Simd>(
        &self,
        simd: S,
        chunk: &'a [[T::Register<S>; P]],
        edge: usize,
    ) -> [[T::Register<S>; P]; 2] {
        let (column, value) = self.entries(edge);
        let zero = T::splat(simd, T::ZERO);
        let (mut sum, mut slope) = ([zero; P], [zero; P]);
        let n = column.len().min(value.len());
        for i in 0..n {
            let row = &chunk[column[i] as usize];
            let (weight, weight_slope) = (T::splat(simd, value[i][0]), T::splat(simd, value[i][1]));
            for p in 0..P {
                sum[p] = T::fused(simd, weight, row[p], sum[p]);
                slope[p] = T::fused(simd, weight_slope, row[p], slope[p]);
            }
        }
        [sum, slope]
    }
}
