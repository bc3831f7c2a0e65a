//! Studies: students × strategies × seeds, and one table.
//!
//! | file | idea |
//! |---|---|
//! | `plan` | the file of a study, and the trainings that it asks for |
//! | `result` | results of trainings, and whether they are still those of the plan |
//! | `bench` | running the trainings, several at a time, and again after an interruption |
//! | `test_sets` | systems that models are judged on |
//! | `teacher` | teacher, and its answers about the test systems |
//! | `cell` | one training |
//! | `judge` | errors of a student, against labels and teacher |
//! | `features` | similarity of the features of teacher and students |
//! | `rows`, `table` | means over seeds, and the table |
//! | `parity` | predictions beside labels, for plots |

mod bench;
mod cell;
mod features;
mod judge;
mod parity;
mod plan;
mod result;
mod rows;
mod table;
mod teacher;
mod test_sets;

pub use bench::{Bench, Layout, Place};
pub use judge::Judged;
pub use parity::{Pairs, Thinned};
pub use plan::{Cell, Choice, Run, Student, Study, Tuning};
pub use result::CellResult;
pub use table::{Mean, Row, csv, markdown, table};
pub use teacher::{Answers, StudyTeacher};
pub use test_sets::{TestFiles, TestSet};

use std::fmt::Display;

use potstill_core::Error;

/// Error with the place where it happened in front.
fn within(place: impl Display) -> impl FnOnce(Error) -> Error {
    move |error| Error::Other(format!("{place}: {error}"))
}
