//! Entries of an index, row by row.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Entries of an index, in the order of their rows.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "what reads it is not built"))]
pub struct EntriesByRow {
    /// Entries of the first row, then those of the second, and so on.
    pub entries: Tensor<1, Int>,
    /// Start of each row's entries, and the number of entries; later rows have none.
    pub first: Tensor<1, Int>,
}

impl EntriesByRow {
    /// Entries that are `taken`, sorted by row; those of a row keep their order.
    pub fn new(rows: &[i32], taken: impl Fn(usize) -> bool, device: &Device) -> Self {
        let n_rows = rows.iter().max().map_or(0, |&last| last as usize + 1);
        let mut first = vec![0; n_rows + 1];
        let entries = || rows.iter().enumerate().filter(|(entry, _)| taken(*entry));
        entries().for_each(|(_, &row)| first[row as usize + 1] += 1);
        for row in 0..n_rows {
            first[row + 1] += first[row];
        }
        let mut next = first.clone();
        let mut sorted = vec![0; first[n_rows] as usize];
        for (entry, &row) in entries() {
            sorted[next[row as usize] as usize] = entry as i32;
            next[row as usize] += 1;
        }
        let tensor = |values: Vec<i32>| {
            let n = values.len();
            Tensor::from_data(TensorData::new(values, [n]), (device, DType::I32))
        };
        Self { entries: tensor(sorted), first: tensor(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_listed_by_row() {
        let numbers = |tensor: &Tensor<1, Int>| tensor.to_data().iter::<i32>().collect::<Vec<_>>();
        let sorted = |rows: &[i32], taken: &[bool]| {
            let found = EntriesByRow::new(rows, |entry| taken[entry], &Device::flex());
            (numbers(&found.entries), numbers(&found.first))
        };
        assert_eq!(sorted(&[2, 0, 2, 4, 0], &[true; 5]), (vec![1, 4, 0, 2, 3], vec![0, 2, 2, 4, 4, 5]));
        assert_eq!(sorted(&[2, 0, 0], &[true, false, true]), (vec![2, 0], vec![0, 1, 1, 2]));
        assert_eq!(sorted(&[], &[]), (vec![], vec![0]));
    }
}
