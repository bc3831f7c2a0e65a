//! The files in which a teacher's answers about a dataset are cached.
//!
//! A cache is a folder: `index.json` and shards `shard-00000.safetensors`, memory-mapped when read. Each shard holds,
//! for some systems in dataset order,
//!
//! - `energy` `[n_systems]` (f64, eV), `atomic_energies` `[n_atoms]` (f64, eV), `forces` `[n_atoms, 3]` (f32, eV/Å), those of
//!   them that the teacher has;
//! - `virial` `[n_systems, 9]` (f64, eV, row-major) where it was asked for; `holds.virial` of the index says so;
//! - `energy_spread` `[n_systems]` and `forces_spread` `[n_atoms]` (f64) where several networks were asked;
//! - for each tap that was asked for, `node.<tap>` `[n_atoms, c]`, `edge_sum.<tap>` `[n_atoms, c']`, `vector.<tap>`
//!   `[n_atoms, 3·c']` and `edge.<tap>` `[n_edges, c']` in f16 or f32. Edges are those of the teacher's main graph, sorted by
//!   target, source and shift; `edge_counts` `[n_systems]` (u32) says how many each system has;
//! - `probe.<k>` `[n_atoms, 3]` (f32, eV/Å²), the derivative of the forces along probe `k`
//!
//! or everything in f64. The index names the dataset and the teacher by hash, and says which of these there are. The metadata of
//! a shard has a JSON object under `potstill-shard`, a [`ShardIdentity`]: to which cache it belongs, which of its shards it is,
//! and each file its checksum (`core::io::checksum`), all verified whenever the cache is opened;
//! where several processes train, each verifies its part. Shards of older versions have a hash `plan`
//! instead, the same for all shards of a cache; those of other programs have neither. A cache does not mix these kinds.
//!
//! The folder is locked while it is made or extended. Readers need no lock: shards and index are replaced by renaming, the index
//! is taken away before the first shard is replaced, and a shard of another making is noticed by its identity.
//!
//! Any program can write the same files. The least that an `index.json` must say, with an empty `structure_hash` for a dataset
//! that is not checked beyond its numbers of systems and atoms:
//!
//! ```json
//! {"format_version": 3, "structure_hash": "", "teacher_hash": "any name", "precision": "f32",
//!  "holds": {"energy": true, "forces": true, "atomic_energies": false}, "taps": [],
//!  "shards": [{"file": "shard-00000.safetensors", "n_systems": 2, "n_atoms": 21}]}
//! ```

mod identity;
mod index;
mod pack;
mod reader;
mod shard;

pub use identity::ShardIdentity;
pub use reader::TeacherCache;

pub(super) use identity::{KEY, Origin};
pub(super) use index::{Index, Subject, architecture, teacher_hash};
pub(super) use pack::pack;
pub(super) use shard::{Contents, Shard};

/// Name of the index in the folder.
pub(super) const INDEX: &str = "index.json";

/// Name of the tensor with the derivatives along a probe.
fn probe_name(probe: usize) -> String {
    format!("probe.{probe}")
}
