//! Errors of the program itself: a panic becomes one line and an exit status of its own. Where a graphics processor has no memory left, which
//! its driver can only say by a panic, the line is one for the user.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::FAILED;

/// Exit status after an internal error (`EX_SOFTWARE` of sysexits.h).
const STATUS: u8 = 70;

/// Exit status after the panic that was reported.
static ENDING: AtomicU8 = AtomicU8::new(STATUS);

/// What a driver says of a graphics processor without memory, in lower case.
const OUT_OF_MEMORY: [&str; 4] = ["out of device memory", "out of memory", "out-of-memory", "can't allocate"];

/// Runs the program; a panic is reported and ends it with status 70, or as any failure where a device has no memory left.
pub fn guarded(program: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(report));
    std::panic::catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|_| {
        let status = ENDING.load(Ordering::Relaxed);
        crate::world::finish(Some(status));
        ExitCode::from(status)
    })
}

/// Reports a panic on one line, with the call stack where RUST_BACKTRACE asks for it.
fn report(panic: &PanicHookInfo<'_>) {
    static IS_REPORTED: AtomicBool = AtomicBool::new(false);
    let backtrace = Backtrace::capture();
    let is_wanted = backtrace.status() == BacktraceStatus::Captured;
    // Threads that work on one batch fail together.
    if IS_REPORTED.swap(true, Ordering::Relaxed) && !is_wanted {
        return;
    }
    let message = panic.payload_as_str().unwrap_or("no message");
    if let Some(cause) = out_of_memory(message) {
        ENDING.store(FAILED, Ordering::Relaxed);
        complain!(
            "error: the device has no memory left ({cause}); lower training.activation_gib, what a step may hold at a time, or \
             training.batch_size, or take a smaller network"
        );
        return;
    }
    let message = message.replace('\n', " ");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    complain!(
        "internal error: {message}{place}; please report this and the command at {}/issues (potstill {})",
        env!("CARGO_PKG_REPOSITORY"),
        env!("CARGO_PKG_VERSION")
    );
    if is_wanted {
        complain!("{backtrace}");
    }
}

/// Line of a driver's message that tells of missing memory.
fn out_of_memory(message: &str) -> Option<&str> {
    let tells = |line: &&str| OUT_OF_MEMORY.iter().any(|words| line.to_lowercase().contains(words));
    message.lines().find(tells).map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rayon::prelude::*;

    use super::*;

    /// Says to the test below that it is the program.
    const ROLE: &str = "POTSTILL_TEST_INTERNAL_ERROR";

    #[test]
    fn missing_memory_is_told_from_other_failures() {
        for (message, cause) in [
            (
                "Should read: ServerUnhealthy\n  can't allocate buffer of size: 99\n  0: std::backtrace",
                "can't allocate buffer of size: 99",
            ),
            ("out of device memory allocating 7 bytes\n", "out of device memory allocating 7 bytes"),
            ("An out-of-memory error happened during launch", "An out-of-memory error happened during launch"),
        ] {
            assert_eq!(out_of_memory(message), Some(cause));
        }
        assert_eq!(out_of_memory("index out of bounds: the len is 3"), None);
    }

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        if std::env::var_os(ROLE).is_some() {
            let _ = guarded(|| {
                (0..8).into_par_iter().for_each(|i| assert!(i > 100, "a wall\nin the way"));
                ExitCode::SUCCESS
            });
            std::process::exit(i32::from(STATUS));
        }
        for backtrace in ["0", "1"] {
            let name = "internal::tests::a_panic_is_one_line_with_its_place";
            let mut program = Command::new(std::env::current_exe().unwrap());
            program.args([name, "--exact", "--nocapture"]).env(ROLE, "1").env("RUST_BACKTRACE", backtrace);
            let output = program.output().unwrap();
            assert_eq!(output.status.code(), Some(i32::from(STATUS)));
            let said = String::from_utf8(output.stderr).unwrap();
            let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("internal error: ")).collect();
            assert!(lines[0].contains("a wall in the way at ") && lines[0].contains("internal.rs:"), "{said}");
            assert!(!said.contains("panicked at"), "{said}");
            if backtrace == "0" {
                assert_eq!(said.lines().count(), 1, "{said}");
            } else {
                assert!(said.contains("   0: "), "{said}");
            }
        }
    }
}
