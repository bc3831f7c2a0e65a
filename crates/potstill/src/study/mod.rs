//! A study: students × strategies × seeds, and one table.
//!
//! `plan` reads what to run, `table` says what came out.

pub mod plan;
pub mod table;
