//! Kernels of `rows`.

use cubecl::prelude::*;

/// One element of the result for each thread: neighbouring threads read neighbouring channels of the same entries.
#[cube(launch)]
pub(super) fn sum_entries<F: Float, I: Int>(
    values: &Tensor<F>,
    entries: &Tensor<I>,
    first: &Tensor<I>,
    output: &mut Tensor<F>,
    #[define(F, I)] _types: [ElemType; 2],
) {
    let width = output.shape(1);
    if ABSOLUTE_POS >= output.shape(0) * width {
        terminate!();
    }
    let row = ABSOLUTE_POS / width;
    let channel = ABSOLUTE_POS % width;
    let mut sum = F::new(0.0);
    if row + 1 < first.shape(0) {
        let start = usize::cast_from(first[row]);
        let end = usize::cast_from(first[row + 1]);
        for k in start..end {
            sum += values[usize::cast_from(entries[k]) * values.stride(0) + channel * values.stride(1)];
        }
    }
    output[ABSOLUTE_POS] = sum;
}
