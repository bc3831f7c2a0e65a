//! Operations on graphics processors with a backward pass of their own.
//!
//! Without the feature `gpu` they are never what runs: there is no such device.
//!
//! | file | idea |
//! |---|---|
//! | `entries` | entries of an index, row by row |
//! | `operation` | the trait of an operation, and its node in the framework's graph |
//! | `launch` | tensors and launches of kernels |
//! | `rows`, `row_kernels` | gathering and summing rows |
//! | `absent` | stand-ins in a build without the feature |

#[cfg(not(feature = "gpu"))]
mod absent;
mod entries;
#[cfg(feature = "gpu")]
pub(crate) mod launch;
#[cfg(feature = "gpu")]
pub(crate) mod operation;
#[cfg(feature = "gpu")]
mod row_kernels;
#[cfg(feature = "gpu")]
mod rows;

#[cfg(not(feature = "gpu"))]
pub use self::absent::{gather_rows, sum_rows};
pub use self::entries::EntriesByRow;
#[cfg(feature = "gpu")]
pub use self::rows::{Index, gather_rows, sum_rows};
