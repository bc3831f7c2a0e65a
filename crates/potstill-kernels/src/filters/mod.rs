//! Filters of edges: rows of numbers that depend on the distance alone, with their derivatives.
//!
//! | file | contents |
//! |---|---|
//! | `b_spline` | uniform B-splines of degree five |
//! | `spline` | interpolation of a filter network |
//! | `table` | splines as kernels read them, and exact filters in the same form |
//! | `layout` | rows in the order of kernels |
//! | `sparse` | linear functions of the few radial functions that do not vanish at a distance |
//! | `dense` | filters computed beforehand, one row for each length |

mod b_spline;
mod dense;
mod layout;
mod sparse;
mod spline;
mod table;

pub use self::dense::DenseRows;
pub use self::sparse::{RadialRows, SparseRows};
pub use self::table::{Filters, PlacedEdge, PlacedEdges, SplineRows};
use crate::number::{Number, Simd};
use crate::radial::Slope;

/// Filter network in f64: a row of numbers as a function of the distance.
pub trait FilterNetwork: Send + Sync + std::fmt::Debug {
    /// Padded width of a row: the number of parts times that of the features.
    fn width(&self) -> usize;

    /// Writes values and derivatives at a distance in Å. Shapes: `[width]`; `scratch` is overwritten.
    fn at(&self, distance: f64, scratch: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]);
}

/// Filter rows of some edges, read by kernels one chunk at a time: a chunk is one register of each of `P` parts.
///
/// Edges are counted from the first of a block of atoms.
pub trait FilterRows<T: Number, const P: usize>: Copy {
    /// Whether the rows of all edges are made from one table, of which a chunk stays in a cache while all edges pass.
    const FROM_TABLE: bool;
    /// Chunks after which sums over channels are added up over the lanes. Few where a chunk of the table fills the first cache.
    const CHUNKS_PER_SUM: usize;
    /// View of a chunk of all rows.
    type Chunk<S: Simd>: Copy;

    /// Chunk of all rows.
    fn chunk<S: Simd>(&self, chunk: usize) -> Self::Chunk<S>;

    /// Filter of an edge.
    fn value<S: Simd>(&self, simd: S, chunk: Self::Chunk<S>, edge: usize) -> [T::Register<S>; P];

    /// Filter of an edge and its derivative with respect to the distance.
    fn value_and_slope<S: Simd>(&self, simd: S, chunk: Self::Chunk<S>, edge: usize) -> [[T::Register<S>; P]; 2];
}
