//! Lines on standard error: whatever the program tells its user beside the results goes through here.
//!
//! A line that cannot be written (a full disk, a closed pipe, a terminal that is gone) is dropped: no work is lost for it.

use std::fmt::Arguments;
use std::io::Write;

/// Writes one line to standard error; failures are ignored.
pub fn line(text: Arguments<'_>) {
    // One write for the whole line, so that lines of several threads and processes do not mix.
    let line = format!("{text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Tells the user what is going on. Arguments as for `format!`.
macro_rules! say {
    ($($argument:tt)*) => { $crate::talk::line(format_args!($($argument)*)) };
}

/// Tells the user why the program ends as it does. Arguments as for `format!`.
macro_rules! complain {
    ($($argument:tt)*) => { $crate::talk::line(format_args!($($argument)*)) };
}
