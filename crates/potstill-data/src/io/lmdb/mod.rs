//! LMDB files, read only and bounds-checked.
//!
//! The layout is that of LMDB 0.9 (`mdb.c`, by Howard Chu): two meta pages, then a B+tree of branch and leaf pages whose
//! long values lie on runs of overflow pages. Every number that is read is checked before it is used, so a damaged file
//! gives an error. The decision not to bind liblmdb is `docs/book/src/decisions/0007-lmdb.md`.

mod cursor;
mod page;
mod tree;

pub use cursor::Keys;
pub use tree::Lmdb;

#[cfg(test)]
pub(crate) mod tests;
