//! Index of a file and its bytes on disk.
//!
//! Eight bytes of magic, a version (u32) and the length of the head (u32); the head as JSON; one u64 for each place and
//! one u32 for each system; 32 bytes of BLAKE3 over everything before. All numbers are little-endian.

use serde::{Deserialize, Serialize};

use crate::io::keys::{ChosenKeys, LabelKeys};

const MAGIC: &[u8; 8] = b"potindex";
/// Version of the layout; an index of another one is made again.
const VERSION: u32 = 1;
const HASH: usize = 32;

/// Places and sizes of the systems of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    /// Keys of the labels.
    pub chosen: ChosenKeys,
    /// LMDB: the key of each system. Text: the byte where each begins, and where the last one ends.
    pub places: Vec<u64>,
    /// Number of atoms of each system.
    pub n_atoms: Vec<u32>,
}

/// File that an index was made for; it holds for no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Length of the file in bytes.
    pub length: u64,
    /// Time of its last change: seconds and nanoseconds since 1970.
    pub changed: (u64, u32),
    /// Names of labels that were asked for.
    pub keys: [Option<String>; 3],
}

impl Stamp {
    /// The stamp of a file of that metadata.
    pub fn new(metadata: &std::fs::Metadata, keys: &LabelKeys) -> Self {
        let since = metadata.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let since = since.unwrap_or_default();
        Self {
            length: metadata.len(),
            changed: (since.as_secs(), since.subsec_nanos()),
            keys: [keys.energy.clone(), keys.forces.clone(), keys.stress.clone()],
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    stamp: Stamp,
    /// Energy, forces, stress.
    chosen: [Option<String>; 3],
    others: [Vec<String>; 3],
    n_places: usize,
    n_systems: usize,
}

impl Index {
    /// The bytes of an index file.
    pub(super) fn encode(&self, stamp: &Stamp) -> Result<Vec<u8>, serde_json::Error> {
        let c = self.chosen.clone();
        let head = serde_json::to_vec(&Head {
            stamp: stamp.clone(),
            chosen: [c.energy, c.forces, c.stress],
            others: [c.other_energies, c.other_forces, c.other_stresses],
            n_places: self.places.len(),
            n_systems: self.n_atoms.len(),
        })?;
        let mut bytes = Vec::with_capacity(16 + head.len() + 8 * self.places.len() + 4 * self.n_atoms.len() + HASH);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&head);
        self.places.iter().for_each(|place| bytes.extend_from_slice(&place.to_le_bytes()));
        self.n_atoms.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        Ok(bytes)
    }

    /// The index in some bytes; absent when they are damaged, of another version, or made for another `stamp`.
    pub(super) fn decode(bytes: &[u8], stamp: &Stamp) -> Option<Self> {
        let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
        let (start, rest) = body.split_at_checked(16)?;
        let number = |at: usize| Some(u32::from_le_bytes(start.get(at..at + 4)?.try_into().ok()?));
        if start.get(..8)? != MAGIC || number(8)? != VERSION || blake3::hash(body).as_bytes() != hash {
            return None;
        }
        let (head, rest) = rest.split_at_checked(usize::try_from(number(12)?).ok()?)?;
        let head: Head = serde_json::from_slice(head).ok().filter(|head: &Head| head.stamp == *stamp)?;
        let (places, n_atoms) = rest.split_at_checked(head.n_places.checked_mul(8)?)?;
        if n_atoms.len() != head.n_systems.checked_mul(4)? {
            return None;
        }
        let ([energy, forces, stress], [other_energies, other_forces, other_stresses]) = (head.chosen, head.others);
        Some(Self {
            chosen: ChosenKeys { energy, forces, stress, other_energies, other_forces, other_stresses },
            places: places.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect(),
            n_atoms: n_atoms.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
        })
    }
}
