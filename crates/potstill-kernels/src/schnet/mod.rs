//! SchNet's continuous-filter convolution over edges and its adjoint (Schütt et al., NeurIPS 2017, arXiv 1706.08566, eq. 2).
//!
//! With `y_j` what an atom sends, `w` the filter of an edge `j → i` of length `d`, and bars for gradients of the energy:
//!
//! ```text
//! z_i = Σ_j y_j ∘ w
//! ȳ_j = Σ_i z̄_i ∘ w,   d̄ = Σ z̄_i ∘ y_j ∘ w′       (over the edges out of j; sum over channels)
//! ```
//!
//! [`Convolution`] and [`ConvolutionAdjoint`] take edges one by one, [`PairConvolution`] and [`PairConvolutionAdjoint`] both edges of a
//! pair of atoms, which have one filter. All work on some registers of each row at a time and take all edges of an atom for them.

mod edges;
mod pairs;

pub use self::edges::{Convolution, ConvolutionAdjoint};
pub use self::pairs::{PairConvolution, PairConvolutionAdjoint};

use crate::filters::FilterRows;
use crate::number::{Number, lanes_here};

/// Registers of a row of that width that kernels work on together: as many as divide the row, up to four.
pub fn parts<T: Number>(width: usize) -> usize {
    match width / lanes_here::<T>() {
        n if n % 4 == 0 => 4,
        n if n % 2 == 0 => 2,
        _ => 1,
    }
}

/// Filters whose rows have one, two or four parts.
pub trait ConvolutionFilters<T: Number>: FilterRows<T, 1> + FilterRows<T, 2> + FilterRows<T, 4> {}

impl<T: Number, F: FilterRows<T, 1> + FilterRows<T, 2> + FilterRows<T, 4>> ConvolutionFilters<T> for F {}
