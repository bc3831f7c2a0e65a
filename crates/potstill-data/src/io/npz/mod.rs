//! The layout of the published COLL files: one `.npz` per split, the atoms of all systems concatenated.
//!
//! | array | shape | type | what |
//! |---|---|---|---|
//! | `N` | `[n]` | integers | atoms of each system |
//! | `Z` | `[sum N]` | integers | atomic numbers |
//! | `R` | `[sum N, 3]` | reals | positions in Å |
//! | `E` | `[n]` or `[n, 1]` | reals | energy in eV, optional |
//! | `F` | `[sum N, 3]` | reals | forces in eV/Å, optional |
//!
//! Besides that layout, all of it optional:
//!
//! | array | shape | type | what |
//! |---|---|---|---|
//! | `cell` | `[n, 3, 3]` | reals | lattice vectors as rows in Å; all zero: none |
//! | `pbc` | `[n, 3]` | truth values | periodic axes; without it those of every cell |
//! | `stress` | `[n, 3, 3]` | reals | in eV/Å³, tension positive; NaN: none |
//! | `tags`, `fixed` | `[sum N]` | integers, truth values | as in extended XYZ |
//! | any other | `[n]` or `[n, 1]` | numbers, truth values, text | metadata of each system |
//! | any other | `[sum N]` or `[sum N, k]` | numbers, truth values, text | a column of the atoms |
//!
//! Metadata are written as `[n]`, columns always as `[sum N, k]`: where every system is one atom, that tells them apart.
//! What has no such array is left out and named: see [`NpzReader::left_out`] and [`NpzWriter::finish`]. The archive's
//! comment holds a [checksum](potstill_core::files::checksum).

mod array;
mod carried;
mod extras;
mod format;
mod reader;
mod writer;

pub use format::Npz;
pub use reader::NpzReader;
pub use writer::NpzWriter;

/// Arrays with a meaning of their own.
const OWN_ARRAYS: [&str; 10] = ["N", "Z", "R", "E", "F", "cell", "pbc", "stress", "tags", "fixed"];

#[cfg(test)]
mod tests;
