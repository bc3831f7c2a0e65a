//! Filters that were computed beforehand, one row for each length.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use super::FilterRows;
use crate::number::{Number, Simd, lanes};

/// Filters of edges as rows of a matrix, and their derivatives as rows of another.
#[derive(Debug, Clone, Copy)]
pub struct DenseRows<'a, T> {
    /// Filters at each length. Shape: `[n_lengths, width]`.
    pub values: &'a [T],
    /// Derivatives with respect to the length; empty where nobody reads them. Shape: `[n_lengths, width]`.
    pub slopes: &'a [T],
    /// Padded width of a row.
    pub width: usize,
    /// Length of each edge.
    pub row: &'a [u32],
    /// Number in `row` of each edge of a kernel.
    pub edge: &'a [u32],
}

/// View of one register of each of `P` parts of all rows.
#[derive(Debug, Clone, Copy)]
pub struct DenseChunk<'a, R> {
    values: &'a [R],
    slopes: &'a [R],
    chunk: usize,
    /// Registers in a row.
    wide: usize,
}

impl<R: Copy> DenseChunk<'_, R> {
    #[inline(always)]
    fn read<const P: usize>(&self, rows: &[R], row: usize) -> [R; P] {
        let row = &rows[row * self.wide..(row + 1) * self.wide];
        let mut parts = [row[self.chunk]; P];
        for p in 1..P {
            parts[p] = row[p * (self.wide / P) + self.chunk];
        }
        parts
    }
}

impl<'a, T: Number, const P: usize> FilterRows<T, P> for DenseRows<'a, T> {
    const FROM_TABLE: bool = false;
    const CHUNKS_PER_SUM: usize = 4;

    type Chunk<S: Simd> = DenseChunk<'a, T::Register<S>>;

    #[inline(always)]
    fn chunk<S: Simd>(&self, chunk: usize) -> Self::Chunk<S> {
        let wide = self.width / lanes::<T, S>();
        DenseChunk { values: T::registers::<S>(self.values), slopes: T::registers::<S>(self.slopes), chunk, wide }
    }

    #[inline(always)]
    fn value<S: Simd>(&self, _: S, chunk: Self::Chunk<S>, edge: usize) -> [T::Register<S>; P] {
        chunk.read(chunk.values, self.row[self.edge[edge] as usize] as usize)
    }

    #[inline(always)]
    fn value_and_slope<S: Simd>(&self, _: S, chunk: Self::Chunk<S>, edge: usize) -> [[T::Register<S>; P]; 2] {
        let row = self.row[self.edge[edge] as usize] as usize;
        [chunk.read(chunk.values, row), chunk.read(chunk.slopes, row)]
    }
}
