//! Extended XYZ: one count, one line of `key=value` pairs, one line per atom; again for the next system.
//!
//! The dialect is that of ASE and of <https://github.com/libAtoms/extxyz>. What becomes of each part:
//!
//! | in the file | in a [`System`](potstill_core::System) |
//! |---|---|
//! | column `species` (S), else `Z`, `numbers`, `atomic_numbers` (I) | `atomic_numbers` |
//! | column `pos` or `positions` (R, 3) | `positions` |
//! | the chosen forces column (R, 3) | `forces` |
//! | column `tags` (I) | `tags` |
//! | column `move_mask` (L or I, 1 or 3; fixed when all are false), column `fixed` (true = fixed) | `fixed` |
//! | `Lattice` (nine numbers: vector a, then b, then c; all zero = no cell) | `cell` |
//! | `pbc`; without it T T T with a `Lattice`, F F F otherwise | `pbc` |
//! | the chosen energy | `energy` |
//! | the chosen stress: 9 numbers, 6 (xx yy zz yz xz xy) or 3×3 JSON; tension positive | `stress` |
//! | a chosen key with `virial` in its name: `stress = -virial / volume` | `stress` |
//! | every other column of `Properties` (R, I, L or S, of any width) | `columns` |
//! | every other key | `metadata` |
//!
//! Without `Properties` the columns are the symbol (or atomic number) and three coordinates; what follows them has no
//! name and is left out; a comment without any `=` becomes the metadata key `comment`.

mod columns;
mod comment;
mod format;
mod labels;
mod names;
mod reader;
mod rows;
mod text;
mod value;
mod writer;

pub use format::Extxyz;
pub use reader::ExtxyzReader;
pub use text::append;
pub use writer::ExtxyzWriter;

#[cfg(test)]
mod tests;
