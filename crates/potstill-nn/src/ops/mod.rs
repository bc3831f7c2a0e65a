//! Operations on the CPU with a backward of their own.
//!
//! The tensor framework keeps every intermediate of a forward pass and walks memory once for each elementary operation.
//! Where networks spend their time, a layer is one operation here: it keeps only what its backward reads, works in place, and
//! touches an array once. Each file holds one operation with its equations, and beside it the same in plain tensor
//! operations: that is what runs on any other backend, and what the tests compare with.
//!
//! | file | what it does |
//! |---|---|
//! | `operation` | what an operation is, and how one enters the framework's graph |
//! | `product` | matrix products |
//! | `dense` | a linear map, with or without the activation |
//! | `residual` | two dense layers and a skip connection |
//! | `gate` | features times a linear map of a basis |
//! | `join` | both ends of an edge and the edge itself through one dense layer |
//! | `edge_filter` | SchNet's filters at many lengths |
//! | `schnet_convolution` | SchNet's convolutions over edges |
//! | `painn_message` | PaiNN's messages over edges |
//! | `host_fan` | which inputs each row sums over |
//! | `angular_sum` | sums over triplets |
//! | `dihedral_sum` | sums over quadruplets |

mod angular_sum;
mod dense;
mod dihedral_sum;
mod edge_filter;
mod gate;
mod host_fan;
mod join;
mod operation;
mod painn_message;
mod product;
mod residual;
mod schnet_convolution;
#[cfg(test)]
pub(crate) mod testing;

pub use self::angular_sum::angular_sum;
pub use self::dense::{dense, dense_silu};
pub use self::dihedral_sum::dihedral_sum;
pub use self::edge_filter::{LengthBasis, edge_filters};
pub use self::gate::gate;
pub use self::host_fan::HostFan;
pub use self::join::{Ends, join_silu};
pub use self::operation::on_host;
pub use self::painn_message::{MessageEdges, messages, messages_adjoint};
pub use self::product::{Factor, product_into};
pub use self::residual::residual;
pub use self::schnet_convolution::{FilteredEdges, convolve, convolve_adjoint};
