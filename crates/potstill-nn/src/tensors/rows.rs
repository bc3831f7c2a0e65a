//! Gathering and summing rows by index.
//!
//! Only 2-D tensors: the CPU backend has a fast path for them alone, so `[n, 3, c]` travels as `[n, 3c]`.
//!
//! Each of the two is the other's derivative. On a graphics processor a sum runs over the entries of each row, which an index
//! therefore lists there beside the row of each entry: thousands of short sums at a time, in a fixed order, so that results repeat.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

use super::host::int_tensor;
use crate::device::is_cpu;
use crate::gpu::{self, EntriesByRow};

/// Row of each entry: rows that are gathered, or into which entries are summed.
#[derive(Debug, Clone)]
pub struct RowIndex {
    rows: Tensor<1, Int>,
    /// On devices other than the CPU.
    by_row: Option<EntriesByRow>,
}

impl RowIndex {
    /// Index of the row of each entry.
    pub fn new(rows: Vec<i32>, device: &Device) -> Self {
        let by_row = (!is_cpu(device)).then(|| EntriesByRow::new(&rows, |_| true, device));
        Self { rows: int_tensor(rows, device), by_row }
    }

    /// Index whose entries that are not `taken` belong to no row: they are gathered from row 0, and what uses them must make their
    /// gradient zero.
    pub fn masked(rows: Vec<i32>, taken: &[bool], device: &Device) -> Self {
        let by_row = (!is_cpu(device)).then(|| EntriesByRow::new(&rows, |entry| taken[entry], device));
        Self { rows: int_tensor(rows, device), by_row }
    }

    /// Row of each entry. Shape: `[n_entries]`.
    pub fn rows(&self) -> &Tensor<1, Int> {
        &self.rows
    }

    /// Row of each entry and entries of each row; none on the CPU.
    pub(crate) fn on_gpu(&self) -> Option<(&Tensor<1, Int>, &EntriesByRow)> {
        self.by_row.as_ref().map(|by_row| (&self.rows, by_row))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.rows.dims()[0]
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Row `index[e]` of `values` for each entry `e`. Shape: `[n, c]` to `[n_entries, c]`.
pub fn gather_rows(values: Tensor<2>, index: &RowIndex) -> Tensor<2> {
    match index.on_gpu().and_then(|index| gpu::gather_rows(&values, index)) {
        Some(rows) => rows,
        None => values.select(0, index.rows.clone()),
    }
}

/// Sums row `e` of `values` into row `index[e]`. Shape: `[n_entries, c]` to `[rows, c]`; rows without entry are zero.
pub fn sum_rows(values: Tensor<2>, index: &RowIndex, rows: usize) -> Tensor<2> {
    let [n, channels] = values.dims();
    let zeros = || Tensor::zeros([rows, channels], (&values.device(), values.dtype()));
    if n == 0 {
        return zeros();
    }
    match index.on_gpu().and_then(|index| gpu::sum_rows(&values, index, rows)) {
        Some(sums) => sums,
        None => zeros().select_assign(0, index.rows.clone(), values, IndexingUpdateOp::Add),
    }
}
