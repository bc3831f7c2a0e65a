//! Gathering and summing rows on a graphics processor.
//!
//! The tensor framework sums rows with one thread for each channel, which walks over all entries. Here each element of the result is a
//! sum of its own: thousands at a time. With the entries of each row at hand the derivative of a gather is such a sum, too.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Int, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::entries::EntriesByRow;
use super::launch::{elements, empty, types};
use super::operation::{GpuOperation, integers, run};
use super::row_kernels::sum_entries;

/// Index on the device.
#[derive(Debug, Clone)]
pub struct Index {
    /// Row of each entry.
    pub rows: CubeTensor,
    /// Entries, those of the same row together.
    pub entries: CubeTensor,
    /// Start of the entries of each row, and their number; later rows have none.
    pub first: CubeTensor,
}

impl Index {
    /// Index of the row of each entry; none on the CPU.
    pub fn of((rows, by_row): (&Tensor<1, Int>, &EntriesByRow)) -> Option<Self> {
        let [rows, entries, first] = [rows, &by_row.entries, &by_row.first].map(integers);
        Some(Self { rows: rows?, entries: entries?, first: first? })
    }
}

/// Row of each entry. Shape: `[n, c]` to `[n_entries, c]`. `None` on the CPU.
pub fn gather_rows(values: &Tensor<2>, index: (&Tensor<1, Int>, &EntriesByRow)) -> Option<Tensor<2>> {
    let index = Index::of(index)?;
    run(&Gather { index, n_rows: values.dims()[0] }, [values])
}

/// Sums of the entries of each row. Shape: `[n_entries, c]` to `[rows, c]`. `None` on the CPU.
pub fn sum_rows(values: &Tensor<2>, index: (&Tensor<1, Int>, &EntriesByRow), rows: usize) -> Option<Tensor<2>> {
    let index = Index::of(index)?;
    run(&Sum { index, n_rows: rows }, [values])
}

#[derive(Debug, Clone)]
struct Gather {
    index: Index,
    n_rows: usize,
}

#[derive(Debug, Clone)]
struct Sum {
    index: Index,
    n_rows: usize,
}

impl GpuOperation<1> for Gather {
    type Saved = ();

    fn forward(&self, [values]: [CubeTensor; 1]) -> (CubeTensor, ()) {
        (gather(values, &self.index), ())
    }

    fn backward(&self, (): (), gradient: CubeTensor) -> [CubeTensor; 1] {
        [sum(gradient, &self.index, self.n_rows)]
    }
}

impl GpuOperation<1> for Sum {
    type Saved = ();

    fn forward(&self, [values]: [CubeTensor; 1]) -> (CubeTensor, ()) {
        (sum(values, &self.index, self.n_rows), ())
    }

    fn backward(&self, (): (), gradient: CubeTensor) -> [CubeTensor; 1] {
        [gather(gradient, &self.index)]
    }
}

fn gather(values: CubeTensor, index: &Index) -> CubeTensor {
    CubeBackend::float_select(values, 0, index.rows.clone())
}

fn sum(values: CubeTensor, index: &Index, n_rows: usize) -> CubeTensor {
    let width = values.meta.shape()[1];
    if index.entries.meta.shape()[0] == 0 {
        return CubeBackend::float_zeros([n_rows, width].into(), &values.device, values.dtype.into());
    }
    let output = empty(&values, [n_rows, width]);
    if n_rows * width > 0 {
        let (count, dimension) = elements(&values, n_rows * width);
        let types = types(&values, &index.entries);
        sum_entries::launch(
            &output.client,
            count,
            dimension,
            values.into_tensor_arg(),
            index.entries.clone().into_tensor_arg(),
            index.first.clone().into_tensor_arg(),
            output.clone().into_tensor_arg(),
            types,
        );
    }
    output
}
