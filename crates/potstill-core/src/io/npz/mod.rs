//! The layout of the published COLL files: one `.npz` per split, the atoms of all systems concatenated.
//!
//! | array | shape | type | what |
//! |---|---|---|---|
//! | `N` | `[n]` | integers | atoms of each system |
//! | `Z` | `[sum N]` | integers | atomic numbers |
//! | `R` | `[sum N, 3]` | reals | positions in Å |
//! | `E` | `[n]` or `[n, 1]` | reals | energy in eV, optional |
//! | `F` | `[sum N, 3]` | reals | forces in eV/Å, optional |
//! | `id` | `[n]` or `[n, 1]` | integers | becomes the metadata key `id`, optional; of another type, it is ignored |
//!
//! There is no cell: systems are free molecules. Other arrays are ignored.

mod array;
mod reader;
mod writer;

pub use reader::NpzReader;
pub use writer::NpzWriter;

#[cfg(test)]
mod tests;
