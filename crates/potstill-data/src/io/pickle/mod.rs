//! Python pickles, read as data: nothing that a pickle names is ever run.
//!
//! [`Pickle::parse`] understands protocols 0 to 5. Classes and functions are refused by name unless the caller allows
//! them, and even then a call is only noted down ([`Kind::Object`]). Values live in one flat table and refer to each
//! other by number, so shared, nested and circular values cost what they cost in the file and no more: text and bytes
//! are not copied, and the table has at most [`MAX_VALUES`] entries (some 50 MiB).

mod input;
mod json;
mod machine;
mod opcodes;
mod scalar;
mod table;
mod value;

pub use json::to_json;
pub use table::MAX_VALUES;
pub use value::{Kind, Value};

use table::{Id, Table};

/// Test for the classes and functions that a pickle may name: `allowed(module, name)`.
pub type Allowed = fn(module: &str, name: &str) -> bool;

/// A pickle and the bytes it came from, which may be borrowed (`&[u8]`) or owned (`Vec<u8>`).
#[derive(Debug)]
pub struct Pickle<B> {
    bytes: B,
    table: Table,
    root: Id,
    end: usize,
}

/// Reason for which a pickle could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The bytes end before the pickle does.
    CutShort,
    /// Other reason, in words.
    Bad(String),
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::CutShort => "the pickle is cut short".into(),
            Failure::Bad(message) => message,
        }
    }
}

impl<B: AsRef<[u8]>> Pickle<B> {
    /// Reads the pickle that starts at byte `start` of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    /// [`Failure`]; the bytes are not given back.
    pub fn parse(bytes: B, start: usize, allowed: Allowed) -> Result<Self, Failure> {
        let (table, root, end) = machine::run(bytes.as_ref(), start, allowed)?;
        Ok(Self { bytes, table, root, end })
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value::new(self.bytes.as_ref(), &self.table, self.root)
    }

    /// Every value of the pickle, in the order of the table.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.table.ids().map(|id| Value::new(self.bytes.as_ref(), &self.table, id))
    }

    /// The bytes that the pickle was read from, all of them.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The byte behind the pickle.
    pub fn end(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests;
