//! Loops over plain slices by vector instructions: numbers and registers, radial functions.
//!
//! Used by training and by the engine; knows neither the tensor framework nor files.

pub mod number;
pub mod radial;
pub mod rows;

pub use number::Number;
