//! Operations, on the CPU unless their name says otherwise, with a backward pass of their own.
//!
//! The tensor framework saves every intermediate of a forward pass and walks memory once for each elementary operation.
//! Where networks spend their time, a layer is one operation here: it saves only what its backward pass reads, works in place, and
//! touches an array once. Each file holds one operation with its equations, and beside it the same in plain tensor
//! operations: that is what runs on any other backend, and what the tests compare with.
//!
//! | file | operation |
//! |---|---|
//! | `operation` | the trait of an operation, and its node in the framework's graph |
//! | `product` | matrix products |
//! | `dense` | a linear map, with or without the activation |
//! | `residual` | two dense layers and a skip connection |
//! | `gate` | features times a linear map of a basis |
//! | `join` | both ends of an edge and the edge itself through one dense layer |
//! | `edge_filter` | SchNet's filters at many lengths |
//! | `schnet_convolution` | SchNet's convolutions over edges |
//! | `painn_message` | PaiNN's messages over edges |
//! | `padding` | rows padded to whole vector registers |
//! | `host_inputs` | inputs that each row sums over |
//! | `angular_sum` | sums over triplets |
//! | `dihedral_sum` | sums over quadruplets |
//! | `gpu_message`, `gpu_message_kernels`, `no_gpu_message` | PaiNN's messages on a graphics processor, where there can be one |

mod angular_sum;
mod dense;
mod dihedral_sum;
mod edge_filter;
mod gate;
#[cfg(feature = "gpu")]
mod gpu_message;
#[cfg(feature = "gpu")]
mod gpu_message_kernels;
mod host_inputs;
mod join;
#[cfg(not(feature = "gpu"))]
mod no_gpu_message;
mod operation;
mod padding;
mod painn_message;
mod product;
mod residual;
mod schnet_convolution;

pub use self::angular_sum::angular_sum;
pub use self::dense::{dense, dense_silu};
pub use self::dihedral_sum::dihedral_sum;
pub use self::edge_filter::{LengthBasis, edge_filters};
pub use self::gate::gate;
#[cfg(feature = "gpu")]
pub use self::gpu_message::{GpuEdges, messages_adjoint_on_gpu, messages_on_gpu};
pub use self::host_inputs::HostInputs;
pub use self::join::{Ends, join_silu};
#[cfg(not(feature = "gpu"))]
pub use self::no_gpu_message::{GpuEdges, messages_adjoint_on_gpu, messages_on_gpu};
pub use self::operation::on_host;
pub use self::painn_message::{MessageEdges, MessageGradients, messages, messages_adjoint};
pub use self::product::{Factor, product_into};
pub use self::residual::residual;
pub use self::schnet_convolution::{FilteredEdges, convolve, convolve_adjoint};
