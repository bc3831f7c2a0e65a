//! Errors as Python's exceptions, with the same line.

use std::io::ErrorKind;

use potstill_core::Error;
use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyFileNotFoundError, PyOSError, PyPermissionError, PyValueError};

create_exception!(
    potstill,
    PotstillError,
    PyException,
    "Failure that is neither bad input nor a file that cannot be used, such as too little memory."
);

/// Exception for an error: `OSError` and its kinds for files that the system refuses, `ValueError` for wrong systems, settings and
/// contents of files, `PotstillError` for the rest.
pub fn exception(error: &Error) -> PyErr {
    let line = error.to_string();
    match error {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(line),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(line),
            _ => PyOSError::new_err(line),
        },
        Error::File { .. } | Error::Line { .. } | Error::System { .. } | Error::Setting { .. } => {
            PyValueError::new_err(line)
        }
        _ => PotstillError::new_err(line),
    }
}

/// `ValueError` about one system of a batch, as the engine words it.
pub fn wrong_system(index: usize, message: impl Into<String>) -> PyErr {
    exception(&Error::system(index, message))
}
