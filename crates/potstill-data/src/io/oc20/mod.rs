//! OC20's S2EF data: LMDB files of pickled graph objects (`torch_geometric.data.Data`).
//!
//! Keys are whole numbers in decimals (`0`, `1`, …) and, in most files, `length`, the number of systems. Objects of both
//! generations of PyTorch Geometric are read: attributes in the object itself (1.x) or in a storage object (2.x).
//!
//! | attribute | shape | what |
//! |---|---|---|
//! | `atomic_numbers` | `[n]` | whole numbers, mostly stored as reals |
//! | `pos` | `[n, 3]` | positions in Å |
//! | `cell` | `[1, 3, 3]` or `[3, 3]` | lattice vectors in Å as rows; the system repeats along all three; optional |
//! | `y` (or `energy`) | a number | energy in eV, optional |
//! | `force` (or `forces`) | `[n, 3]` | forces in eV/Å, optional |
//! | `tags` | `[n]` | 0 bulk, 1 surface, 2 adsorbate; optional |
//! | `fixed` | `[n]` | 1 for atoms that were held fixed; optional |
//! | `sid`, `fid`, other numbers and texts | one | become metadata |
//!
//! Other attributes, such as stored graphs, are ignored.
//!
//! The raw download, extended XYZ with reference energies in a text beside it, is read by [`RawFile`].

mod file;
mod folder;
mod format;
mod raw;
mod record;

pub use file::Oc20Lmdb;
pub use folder::{Oc20Reader, files};
pub use format::Oc20;
pub use raw::RawFile;

#[cfg(test)]
mod tests;
