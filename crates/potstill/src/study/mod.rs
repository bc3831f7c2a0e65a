//! A study: students × strategies × seeds, and one table.
//!
//! `plan` reads what to run, `bench` runs it, `rows` takes means over seeds, `table` and `report` show them.

pub mod bench;
pub mod plan;
pub mod report;
pub mod rows;
pub mod similarity;
pub mod table;
