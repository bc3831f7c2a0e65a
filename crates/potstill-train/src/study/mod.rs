//! Studies: students × strategies × seeds, and one table.
//!
//! | file | idea |
//! |---|---|
//! | `plan` | the file of a study, and the trainings that it asks for |
//! | `result` | results of trainings, and whether they are still those of the plan |
//! | `bench` | running the trainings, several at a time, and again after an interruption |
//! | `cell` | one training and its evaluation |
//! | `features` | similarity of the features of teacher and students |
//! | `rows`, `table` | means over seeds, and the table |
//! | `parity` | predictions beside labels, for plots |

mod bench;
mod cell;
mod features;
mod parity;
mod plan;
mod result;
mod rows;
mod table;

pub use bench::{Bench, Layout, Place};
pub use parity::{Pairs, Thinned};
pub use plan::{Cell, Run, Student, Study, Tuning};
pub use result::CellResult;
pub use table::{Mean, Row, csv, markdown, table};

use std::fmt::Display;

use potstill_core::Error;

/// Error with the place where it happened in front.
fn within(place: impl Display) -> impl FnOnce(Error) -> Error {
    move |error| Error::Other(format!("{place}: {error}"))
}
