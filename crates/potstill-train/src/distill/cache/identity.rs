//! To which cache a shard belongs, and whether its tensors are those that were written.

use potstill_nn::checkpoint::Tensors;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::index::{Index, short};
use super::questions::Precision;
use crate::distill::probes::Probes;

/// Key of the identity in a shard's metadata.
pub(super) const KEY: &str = "potstill-shard";
/// Key of the hash that older versions wrote instead.
const OLD_KEY: &str = "plan";

/// What a shard says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardIdentity {
    /// Hash of everything that was asked: equal for all shards of a cache.
    pub plan: String,
    /// Hash of the teacher.
    pub teacher_hash: String,
    /// Hash of the dataset's structures.
    pub structure_hash: String,
    /// Precision of the features.
    pub precision: Precision,
    /// Directions of the derivatives of the forces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// Number of the shard in its cache, counted from 0.
    pub shard: usize,
    /// Number of its systems.
    pub n_systems: usize,
    /// Number of their atoms.
    pub n_atoms: usize,
    /// BLAKE3 hash of names, types, shapes and bytes of all tensors, by name.
    pub checksum: String,
}

impl ShardIdentity {
    /// The identity of a shard of a cache.
    pub(super) fn new(index: &Index, shard: usize, plan: &str, checksum: String) -> Self {
        let (n_systems, n_atoms) = index.shards.get(shard).map_or((0, 0), |s| (s.n_systems, s.n_atoms));
        Self {
            plan: plan.to_owned(),
            teacher_hash: index.teacher_hash.clone(),
            structure_hash: index.structure_hash.clone(),
            precision: index.precision,
            probes: index.probes,
            shard,
            n_systems,
            n_atoms,
            checksum,
        }
    }

    /// What is different from the shard that the index expects, in words.
    fn difference(&self, index: &Index, shard: usize) -> Option<String> {
        let expected = Self::new(index, shard, &self.plan, self.checksum.clone());
        let hashes = [
            ("teacher", &self.teacher_hash, &expected.teacher_hash),
            ("dataset", &self.structure_hash, &expected.structure_hash),
        ];
        if let Some((what, found, wanted)) = hashes.into_iter().find(|(_, found, wanted)| found != wanted) {
            return Some(format!("is a shard of the cache of {what} {}, not {}", short(found), short(wanted)));
        }
        if self.shard != shard {
            return Some(format!("is shard {} of its cache, not {shard}", self.shard));
        }
        (*self != expected).then(|| "is a shard of another cache of this teacher".to_owned())
    }
}

/// Who wrote a shard, as far as it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// This version of potstill.
    Known(Box<ShardIdentity>),
    /// An older version, with the hash of its plan.
    Old(String),
    /// Another program.
    Foreign,
}

impl Origin {
    /// Reads the metadata of a shard.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let Some(metadata) = header.metadata() else { return Ok(Self::Foreign) };
        match (metadata.get(KEY), metadata.get(OLD_KEY)) {
            (Some(text), _) => {
                let identity = serde_json::from_str(text).map_err(|e| format!("{KEY} in its metadata: {e}"))?;
                Ok(Self::Known(Box::new(identity)))
            }
            (None, Some(plan)) => Ok(Self::Old(plan.clone())),
            (None, None) => Ok(Self::Foreign),
        }
    }

    /// Checks a shard against the index and its own checksum; the message says what is wrong.
    pub fn check(&self, index: &Index, shard: usize, tensors: &SafeTensors<'_>) -> Result<(), String> {
        let Self::Known(identity) = self else { return Ok(()) };
        if let Some(difference) = identity.difference(index, shard) {
            return Err(difference);
        }
        match checksum(tensors) == identity.checksum {
            true => Ok(()),
            false => Err("is damaged: its tensors are not those that were written (checksum)".to_owned()),
        }
    }

    /// Whether two shards can belong to one cache.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a.plan == b.plan,
            (Self::Old(a), Self::Old(b)) => a == b,
            (Self::Foreign, Self::Foreign) => true,
            _ => false,
        }
    }
}

/// Checksum of the tensors of a file.
fn checksum(tensors: &SafeTensors<'_>) -> String {
    let mut all = tensors.tensors();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let parts = all.iter().map(|(name, view)| (name.as_str(), view.dtype(), view.shape(), view.data()));
    checksum_of(parts)
}

/// Checksum of tensors that are to be written.
pub(super) fn checksum_of_new(tensors: &Tensors) -> String {
    let mut all: Vec<_> = tensors.iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    checksum_of(all.into_iter().map(|(name, dtype, shape, bytes)| (name.as_str(), *dtype, &shape[..], &bytes[..])))
}

fn checksum_of<'a>(tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize], &'a [u8])>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, dtype, shape, bytes) in tensors {
        hasher.update(format!("{name} {dtype:?} {shape:?} {}\n", bytes.len()).as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex().to_string()
}
