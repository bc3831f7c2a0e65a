//! Golden files of the reference implementation, for potstill's own tests.
//!
//! The full set is at `POTSTILL_FIXTURES` or lies beside the repository; a part of it ships under `testdata/fixtures`,
//! so that a lone clone still proves parity. A test that needs more than the part has the attribute
//! `needs_full_set` of `potstill-fixtures-macros`.
//! Reading a file that is absent fails, unless the set says in `left_out.json` that it leaves it out. Names of cases
//! and structures come from the set, never from a test.

mod golden;
mod places;
mod set;

pub use golden::{Golden, json, read};
pub use places::{datasets, workspace};
pub use set::{cases, data, file, files, is_full_set, optional};
