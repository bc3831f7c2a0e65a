//! Faults of disks, injected: failing and short writes, interruptions, and death between any two calls of the system.

use std::cell::Cell;
use std::io::{ErrorKind, Result};

/// Fault injected in this thread.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The disk refuses after so many bytes.
    Refuses(usize, ErrorKind),
    /// Each call writes one byte, and every other call is interrupted.
    Stutters,
    /// A call, counted from 0, fails.
    Fails(usize),
    /// The process dies before that call.
    Dies(usize),
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    /// Calls so far.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `save` with a fault; returns the number of calls of the system that it made, too.
pub fn with<T>(fault: Fault, save: impl FnOnce() -> T) -> (T, usize) {
    FAULT.set(Some(fault));
    CALLS.set(0);
    let result = save();
    FAULT.set(None);
    (result, CALLS.get())
}

/// A call of the system other than a write.
pub fn step() -> Result<()> {
    let call = CALLS.get();
    CALLS.set(call + 1);
    match FAULT.get() {
        Some(Fault::Fails(at)) if at == call => Err(ErrorKind::Other.into()),
        Some(Fault::Dies(at)) if at == call => std::process::abort(),
        _ => Ok(()),
    }
}

/// The part of `bytes` that the next write takes.
pub fn before_write(bytes: &[u8]) -> Result<&[u8]> {
    step()?;
    match FAULT.get() {
        Some(Fault::Refuses(0, kind)) if !bytes.is_empty() => Err(kind.into()),
        Some(Fault::Refuses(left, kind)) => {
            let taken = left.min(bytes.len());
            FAULT.set(Some(Fault::Refuses(left - taken, kind)));
            Ok(&bytes[..taken])
        }
        Some(Fault::Stutters) if CALLS.get().is_multiple_of(2) => Err(ErrorKind::Interrupted.into()),
        Some(Fault::Stutters) => Ok(&bytes[..bytes.len().min(1)]),
        _ => Ok(bytes),
    }
}
