//! Loops over plain slices by vector instructions: the arithmetic that training and the fast engine share.
//!
//! Knows neither the tensor framework nor files.
//!
//! | module | contents |
//! |---|---|
//! | [`number`] | f32 and f64, vector registers, choice of instructions at run time |
//! | [`registers`] | vectors of three components in registers |
//! | [`rows`], [`edges`] | padded rows of features, edges grouped by one end |
//! | [`aligned`], [`dense`] | arrays at cache lines, linear maps and their adjoints |
//! | [`activation`], [`norm`] | activation functions, layer norm, and their adjoints |
//! | [`radial`] | radial bases, envelopes and cutoff functions in f64, with derivatives |
//! | [`filters`] | filters of edges: tables of splines, and the trait that message kernels read |
//! | [`painn`], [`schnet`] | messages over edges and their adjoints |
//!
//! ```
//! use potstill_kernels::dense::{Dense, Parts};
//! use potstill_kernels::rows::padded;
//!
//! // y = W x + b with W of shape [2, 3]; rows are padded to whole vector registers.
//! let weight = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0];
//! let map = Dense::<f32>::new(&weight, Some(&[10.0, 20.0]), Parts::of(1, 3), Parts::of(1, 2));
//! let mut x = vec![0.0; padded(3)];
//! x[..3].copy_from_slice(&[1.0, 2.0, 3.0]);
//! let mut y = vec![0.0; map.output()];
//! map.forward(&x, &mut y);
//! assert_eq!(y[..2], [17.0, 26.0]);
//! ```

pub mod activation;
pub mod aligned;
pub mod dense;
pub mod edges;
mod elementary;
pub mod filters;
pub mod norm;
pub mod number;
pub mod painn;
mod panels;
pub mod radial;
pub mod registers;
pub mod rows;
pub mod schnet;

pub use number::Number;
