//! Allocator of the C interface's own memory: `mimalloc` (`docs/book/src/decisions/0004-allocator.md`).
//!
//! The program around it keeps its allocator; no memory of one is freed by the other.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
