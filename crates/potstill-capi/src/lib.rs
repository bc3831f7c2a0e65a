//! C interface of potstill: a student for C, C++ and Fortran programs.
//!
//! `include/potstill.h` is made from this crate (`cargo xtask reference`). A program opens a model, and either has whole systems
//! evaluated or, where its atoms are spread over processes, a domain of each process. Nothing is computed here.
//!
//! | file | contents |
//! |---|---|
//! | `model` | opening a model file, asking about it |
//! | `system` | energies, forces and stress of a whole system |
//! | `domain` | those of a process's part of a system |
//! | `exchange` | exchange between processes by a function of the caller |
//! | `threads` | number of threads |
//! | `error` | messages of failures; panics end here |
//! | `arrays` | arrays of a caller as slices |
//! | `allocator` | allocator of the memory that the engine works with |
//!
//! **Failures.** Functions that can fail return 0 (or a pointer) when they succeed, and 1 (or null) when they fail; [`potstill_error`]
//! then has a message of one line. No panic unwinds into the caller.
//!
//! **Threads.** A model may be used by several threads at a time, a domain by one.
#![allow(unsafe_code, reason = "callers in C hand over pointers; `arrays` is the place that reads them")]

#[cfg(feature = "mimalloc")]
mod allocator;
mod arrays;
mod domain;
mod error;
mod exchange;
mod model;
mod system;
mod threads;

pub use domain::{PotstillDomain, potstill_domain_close, potstill_domain_evaluate, potstill_domain_open};
pub use error::{potstill_error, potstill_version};
pub use exchange::PotstillExchange;
pub use model::{
    PotstillModel, potstill_atomic_number, potstill_model_close, potstill_model_cutoff, potstill_model_exchanged,
    potstill_model_has_direct_forces, potstill_model_knows, potstill_model_open, potstill_model_sees_all_neighbors,
};
pub use system::potstill_evaluate;
pub use threads::potstill_use_threads;
