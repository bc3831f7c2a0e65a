//! Identity of a shard: the cache to which it belongs.

use potstill_core::Precision;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::index::{Index, short};
use crate::distill::probes::Probes;

/// Key of the identity in a shard's metadata.
pub(in crate::distill) const KEY: &str = "potstill-shard";
/// Key of the hash that older versions wrote instead.
const OLD_KEY: &str = "plan";

/// Identity of a shard, as its metadata hold it.
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
}

impl ShardIdentity {
    /// The identity of a shard of a cache.
    pub(in crate::distill) fn new(index: &Index, shard: usize, plan: &str) -> Self {
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
        }
    }

    /// Difference from the shard that the index expects, in words.
    fn difference(&self, index: &Index, shard: usize) -> Option<String> {
        let expected = Self::new(index, shard, &self.plan);
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

/// Writer of a shard, as far as its metadata tell.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::distill) enum Origin {
    /// This version of potstill.
    Known(Box<ShardIdentity>),
    /// An older version, with the hash of its plan.
    Old(String),
    /// Shard of another program.
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

    /// Checks a shard against the index; the message says what is wrong.
    pub fn check(&self, index: &Index, shard: usize) -> Result<(), String> {
        match self {
            Self::Known(identity) => identity.difference(index, shard).map_or(Ok(()), Err),
            Self::Old(_) | Self::Foreign => Ok(()),
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
