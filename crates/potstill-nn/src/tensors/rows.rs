//! Gathering and summing rows by index.
//!
//! Only 2-D tensors: the CPU backend has a fast path for them alone, so `[n, 3, c]` travels as `[n, 3c]`.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Row `index[e]` of `values` for each `e`. Shape: `[n, c]` to `[n_edges, c]`.
pub fn gather_rows(values: Tensor<2>, index: Tensor<1, Int>) -> Tensor<2> {
    values.select(0, index)
}

/// Sums row `e` of `values` into row `index[e]`. Shape: `[n_edges, c]` to `[rows, c]`; rows without entry are zero.
pub fn sum_rows(values: Tensor<2>, index: Tensor<1, Int>, rows: usize) -> Tensor<2> {
    let [n, channels] = values.dims();
    let zeros = Tensor::zeros([rows, channels], (&values.device(), values.dtype()));
    if n == 0 {
        return zeros;
    }
    zeros.select_assign(0, index, values, IndexingUpdateOp::Add)
}
