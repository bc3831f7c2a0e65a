//! Functions of tensors that every other module uses.
//!
//! Nothing that is differentiated may use `div_scalar`: Burn's gradient of it rounds the divisor to f32. Multiply by the reciprocal.

mod activation;
mod host;
mod rows;

pub use self::activation::{scaled_silu, scaled_silu_derivative, shifted_softplus, shifted_softplus_derivative};
pub use self::host::{float_tensor, int_tensor, to_host};
pub use self::rows::{RowIndex, gather_rows, sum_rows};
