//! Arrays of a caller as slices.

use std::ffi::{CStr, c_char};

use potstill_core::{Error, Result};

/// Error about an argument.
pub fn wrong(message: impl Into<String>) -> Error {
    Error::Other(message.into())
}

/// Array of `n` numbers to read; null only where `n` is 0.
///
/// # Safety
/// `pointer` is null, or `n` numbers lie there that nobody writes while the slice lives.
///
/// # Errors
/// A null pointer.
pub unsafe fn read<'a, T>(pointer: *const T, n: usize, name: &str) -> Result<&'a [T]> {
    match (n, pointer.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(wrong(format!("{name}: is null; {n} numbers are needed"))),
        // SAFETY: not null, and the caller vouches for the rest.
        _ => Ok(unsafe { std::slice::from_raw_parts(pointer, n) }),
    }
}

/// Array of `n` numbers to write; none where the pointer is null.
///
/// # Safety
/// `pointer` is null, or `n` numbers lie there that nobody else reads or writes while the slice lives.
pub unsafe fn write<'a, T>(pointer: *mut T, n: usize) -> Option<&'a mut [T]> {
    match (n, pointer.is_null()) {
        (0, _) | (_, true) => None,
        // SAFETY: not null, and the caller vouches for the rest.
        _ => Some(unsafe { std::slice::from_raw_parts_mut(pointer, n) }),
    }
}

/// Text that ends with a zero.
///
/// # Safety
/// `pointer` is null, or a text that ends with a zero lies there.
///
/// # Errors
/// A null pointer; text that is not UTF-8.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(wrong(format!("{name}: is null; a text is needed")));
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { CStr::from_ptr(pointer) }.to_str().map_err(|_| wrong(format!("{name}: is not UTF-8")))
}

/// Atomic numbers as a caller has them.
///
/// # Errors
/// Numbers below 1 or above 118.
pub fn atomic_numbers(numbers: &[i32]) -> Result<Vec<u8>> {
    let one = |(atom, &z): (usize, &i32)| match u8::try_from(z) {
        Ok(z @ 1..=118) => Ok(z),
        _ => Err(wrong(format!("atomic number {z} of atom {atom}: must be from 1 to 118"))),
    };
    numbers.iter().enumerate().map(one).collect()
}
