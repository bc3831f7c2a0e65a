//! Lines on standard error: whatever the program tells its user beside the results goes through here.
//!
//! A line that cannot be written (a full disk, a closed pipe, a terminal that is gone) is dropped: no work is lost for it.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

/// Amount of talk on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Errors alone (`--quiet`).
    Quiet,
    /// What is being done, and how far it is.
    Normal,
    /// Details besides (`--verbose`).
    Verbose,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Normal as u8);

/// Decides what is written from now on.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether lines of that level are written.
pub fn is_on(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes one line to standard error if its level is on; failures are ignored.
pub fn line(level: Level, text: Arguments<'_>) {
    if is_on(level) {
        // One write for the whole line, so that lines of several threads and processes do not mix.
        let line = format!("{text}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Tells the user what is going on, unless `--quiet` was given. Arguments as for `format!`.
macro_rules! say {
    ($($argument:tt)*) => { $crate::talk::line($crate::talk::Level::Normal, format_args!($($argument)*)) };
}

/// Tells the user details with `--verbose`. Arguments as for `format!`.
macro_rules! detail {
    ($($argument:tt)*) => { $crate::talk::line($crate::talk::Level::Verbose, format_args!($($argument)*)) };
}

/// Tells the user why the program fails, always. Arguments as for `format!`.
macro_rules! complain {
    ($($argument:tt)*) => { $crate::talk::line($crate::talk::Level::Quiet, format_args!($($argument)*)) };
}
