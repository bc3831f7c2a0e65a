//! Standard output: the results of a command and nothing else.
//!
//! When nobody reads on (`potstill … | head`), the rest is dropped and the command ends as it would have; any other failure
//! to write, such as a full disk, is an error.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Prints some text and the end of its line.
///
/// # Errors
/// What the file system says, other than that nobody reads.
pub fn print(text: &str) -> Result<()> {
    match write(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output: cannot write"),
    }
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&serde_json::to_string(value)?)
}

fn write(text: &str) -> std::io::Result<()> {
    if !crate::world::ranks().leads() {
        return Ok(());
    }
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.write_all(b"\n")?;
    output.flush()
}
