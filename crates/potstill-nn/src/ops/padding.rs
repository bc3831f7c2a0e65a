//! Rows padded with zeros to a whole number of vector registers.

use std::borrow::Cow;

use potstill_kernels::number::Number;

/// Rows of `wide` numbers: the given rows of `width` numbers where the two are equal, else a copy with zeros at the end of each.
pub fn padded<T: Number>(rows: &[T], width: usize, wide: usize) -> Cow<'_, [T]> {
    if wide == width {
        return Cow::Borrowed(rows);
    }
    let mut out = vec![T::ZERO; rows.len() / width * wide];
    for (to, from) in out.chunks_exact_mut(wide).zip(rows.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    Cow::Owned(out)
}

/// Rows of `width` numbers without the padding of [`padded`].
pub fn unpadded<T: Number>(rows: Vec<T>, width: usize, wide: usize) -> Vec<T> {
    if wide == width {
        return rows;
    }
    let mut out = Vec::with_capacity(rows.len() / wide * width);
    for row in rows.chunks_exact(wide) {
        out.extend_from_slice(&row[..width]);
    }
    out
}
