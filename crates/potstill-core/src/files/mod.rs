//! Files and folders, whatever they hold: written whole or not at all, with checksums, under locks.
//!
//! All that writes needs the feature `write`, which is on by default.

#[cfg(feature = "write")]
pub mod atomic;
pub mod checksum;
#[cfg(feature = "write")]
pub mod folder;
#[cfg(feature = "write")]
pub mod lock;
#[cfg(feature = "write")]
pub mod seal;
pub mod source;
#[cfg(feature = "write")]
pub mod stale;

#[cfg(feature = "write")]
pub use atomic::{AtomicFile, write_atomically};
#[cfg(feature = "write")]
pub use lock::FolderLock;
#[cfg(feature = "write")]
pub use stale::remove_stale_temporaries;
