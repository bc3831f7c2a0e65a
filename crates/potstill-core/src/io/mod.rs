//! Files of systems, in and out.

pub mod atomic;
pub mod compression;
pub mod extxyz;
pub mod keys;

pub use atomic::{AtomicFile, write_atomically};
pub use compression::open_reader;
pub use extxyz::ExtxyzReader;
pub use keys::{ChosenKeys, LabelKeys};
