//! The program's allocator: `mimalloc`, told to keep what it has (`docs/book/src/decisions/0004-allocator.md`).
#![allow(unsafe_code)] // Options of a C library.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of the option in `mimalloc.h`; the Rust bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed memory for the next step of training, which needs as much again, and asks for large pages: each page that
/// goes back to the system is zeroed by the kernel when it returns.
///
/// Environment variables of `mimalloc` (`MIMALLOC_PURGE_DELAY` and others) come first.
pub fn keep_memory() {
    // SAFETY: both numbers are options of this version of the library; a default is set, nothing is read or freed.
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, -1);
        libmimalloc_sys::mi_option_set_default(libmimalloc_sys::mi_option_large_os_pages, 1);
    }
}
