//! Numpy arrays of a wanted shape and type.

use numpy::{Element, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Borrows an array, or converts what is not one; `name` is that of the argument.
///
/// # Errors
/// Types that hold something else than numbers of this type, or that would lose digits (a real number as an integer).
fn borrowed<'py, T: Kind>(value: &Bound<'py, PyAny>, name: &str) -> Result<PyReadonlyArrayDyn<'py, T>, String> {
    if let Ok(array) = value.cast::<PyArrayDyn<T>>() {
        return array.try_readonly().map_err(|e| format!("{name}: {e}"));
    }
    converted(value, name)?.try_readonly().map_err(|e| format!("{name}: {e}"))
}

fn converted<'py, T: Kind>(value: &Bound<'py, PyAny>, name: &str) -> Result<Bound<'py, PyArrayDyn<T>>, String> {
    let complain = |e: PyErr| format!("{name}: {}", e.value(value.py()));
    let array =
        value.py().import("numpy").and_then(|numpy| numpy.call_method1("asarray", (value,))).map_err(complain)?;
    let dtype = array.getattr("dtype").map_err(complain)?;
    let kind =
        dtype.getattr("kind").and_then(|kind| Ok(kind.cast_into::<PyString>()?.to_string())).map_err(complain)?;
    if !T::KINDS.contains(&kind.as_str()) {
        return Err(format!("{name}: type {dtype} does not hold {}", T::WORDS));
    }
    let array = array.call_method1("astype", (T::NAME,)).map_err(complain)?;
    array.cast_into::<PyArrayDyn<T>>().map_err(|e| format!("{name}: {e}"))
}

/// Type of numbers that arrays are wanted in.
pub trait Kind: Element + Copy {
    /// Name of the type in numpy.
    const NAME: &'static str;
    /// Kinds of types that convert without loss that matters, as numpy's `dtype.kind`.
    const KINDS: &'static [&'static str];
    /// Description for messages.
    const WORDS: &'static str;
}

impl Kind for f64 {
    const NAME: &'static str = "float64";
    const KINDS: &'static [&'static str] = &["f", "i", "u"];
    const WORDS: &'static str = "real numbers";
}

impl Kind for i64 {
    const NAME: &'static str = "int64";
    const KINDS: &'static [&'static str] = &["i", "u"];
    const WORDS: &'static str = "integers";
}

impl Kind for bool {
    const NAME: &'static str = "bool";
    const KINDS: &'static [&'static str] = &["b"];
    const WORDS: &'static str = "truth values";
}

/// Rows of three numbers. Shape: `[n, 3]`.
///
/// # Errors
/// Another shape, or no numbers.
pub fn rows(value: &Bound<'_, PyAny>, name: &str) -> Result<Vec<[f64; 3]>, String> {
    let array = borrowed::<f64>(value, name)?;
    if !matches!(array.shape(), [_, 3]) {
        return Err(format!("{name} must have shape [n, 3], not {:?}", array.shape()));
    }
    let array = array.as_array();
    // A slice only of what lies row by row; numpy's own `as_slice` gives columns of a Fortran array, too.
    Ok(match array.as_slice() {
        Some(contiguous) => contiguous.as_chunks::<3>().0.to_vec(),
        None => array.rows().into_iter().map(|row| [row[0], row[1], row[2]]).collect(),
    })
}

/// Numbers in a row. Shape: `[n]`.
///
/// # Errors
/// Another shape or type.
pub fn row<T: Kind>(value: &Bound<'_, PyAny>, name: &str) -> Result<Vec<T>, String> {
    let array = borrowed::<T>(value, name)?;
    match array.shape() {
        [_] => Ok(array.as_array().iter().copied().collect()),
        shape => Err(format!("{name} must have shape [n], not {shape:?}")),
    }
}
