//! Arrays that start at a cache line, so that no register is read from two lines.

use std::ops::Deref;

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// Immutable array that starts at a cache line.
#[derive(Debug, Clone)]
pub struct Aligned<T> {
    /// Longer than needed by as much as the allocator may be off.
    numbers: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Copies numbers.
    pub fn new(numbers: &[T]) -> Self {
        let len = numbers.len();
        let mut own = vec![T::default(); len + LINE / size_of::<T>().max(1)];
        let start = own.as_ptr().align_offset(LINE).min(own.len() - len);
        own[start..start + len].copy_from_slice(numbers);
        Self { numbers: own, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.numbers[self.start..self.start + self.len]
    }
}
