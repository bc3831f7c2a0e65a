//! Stand-ins for operations on graphics processors in a build without them.

use burn::tensor::{Int, Tensor};

use super::EntriesByRow;

/// Nothing: rows are gathered by plain operations.
pub fn gather_rows(_values: &Tensor<2>, _index: (&Tensor<1, Int>, &EntriesByRow)) -> Option<Tensor<2>> {
    None
}

/// Nothing: rows are summed by plain operations.
pub fn sum_rows(_values: &Tensor<2>, _index: (&Tensor<1, Int>, &EntriesByRow), _rows: usize) -> Option<Tensor<2>> {
    None
}
