//! Files and folders, whatever they hold: written whole or not at all, with checksums, under locks.

pub mod atomic;
pub mod checksum;
pub mod folder;
pub mod lock;
pub mod source;
pub mod stale;

pub use atomic::{AtomicFile, write_atomically};
pub use lock::FolderLock;
pub use stale::remove_stale_temporaries;
