//! Rows of filters in the order in which kernels read them: `[chunk, row, part, lanes]`.

use super::FilterNetwork;
use crate::number::{Number, lanes_here};

/// Rows of width `parts * wide` in chunks; see [`SplineRows`](super::SplineRows).
pub fn chunked<T: Number>(rows: &[f64], wide: usize, parts: usize) -> Vec<T> {
    let n_rows = rows.len() / (wide * parts);
    let mut out = vec![T::ZERO; rows.len()];
    for (r, row) in rows.chunks_exact(wide * parts).enumerate() {
        put_row(row, r, n_rows, parts, &mut out);
    }
    out
}

/// Writes row `r` of a table into its chunks.
fn put_row<T: Number>(row: &[f64], r: usize, n_rows: usize, parts: usize, out: &mut [T]) {
    let lanes = lanes_here::<T>();
    for (part, numbers) in row.chunks_exact(row.len() / parts).enumerate() {
        for (chunk, numbers) in numbers.chunks_exact(lanes).enumerate() {
            let start = ((chunk * n_rows + r) * parts + part) * lanes;
            out[start..start + lanes].iter_mut().zip(numbers).for_each(|(to, &from)| *to = T::of(from));
        }
    }
}

/// Table with the value and the derivative at each distance as rows.
pub fn exact_rows<T: Number>(
    network: &dyn FilterNetwork,
    parts: usize,
    distances: &[T],
    n_rows: usize,
    out: &mut Vec<T>,
) {
    let width = network.width();
    out.clear();
    out.resize(n_rows * width, T::ZERO);
    let (mut values, mut slopes, mut scratch) = (vec![0.0; width], vec![0.0; width], Vec::new());
    for (e, d) in distances.iter().enumerate() {
        network.at(d.to_f64(), &mut scratch, &mut values, &mut slopes);
        put_row(&values, 2 * e, n_rows, parts, out);
        put_row(&slopes, 2 * e + 1, n_rows, parts, out);
    }
}
