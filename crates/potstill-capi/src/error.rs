//! Messages of failures.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use potstill_core::Result;

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Version of the library, as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn potstill_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Message of the last failure on this thread, one line in UTF-8, valid until the next failure there; empty where there was none.
#[unsafe(no_mangle)]
pub extern "C" fn potstill_error() -> *const c_char {
    MESSAGE.with(|message| message.borrow().as_ptr())
}

/// Result of a call; the message of an error, or of a panic, is kept for [`potstill_error`].
pub fn guarded<R>(call: impl FnOnce() -> Result<R>) -> Option<R> {
    let message = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => return Some(result),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            format!("internal error: {text}; please report it")
        }
    };
    let line = message.replace(['\0', '\n'], " ");
    MESSAGE.with(|kept| *kept.borrow_mut() = CString::new(line).unwrap_or_default());
    None
}

/// Status of a call: 0 when it succeeded, 1 when it failed.
pub fn status(call: impl FnOnce() -> Result<()>) -> c_int {
    c_int::from(guarded(call).is_none())
}
