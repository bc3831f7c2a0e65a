//! Fingerprints of datasets: the keys of teacher caches and the provenance in checkpoints.

use std::borrow::Borrow;

use blake3::Hasher;

use potstill_core::system::{System, Vec3};

/// Hash of what a potential sees: atomic numbers, positions, cell, pbc and tags of each system, in order.
///
/// Labels, fixed atoms and metadata do not enter, so relabelled data keep their cache. Numbers enter bit by bit.
/// Returns 64 hexadecimal digits.
pub fn structure_hash(systems: &[impl Borrow<System>]) -> String {
    all(DatasetHash::structures(systems.len()), systems)
}

/// Hash of what training sees: everything in [`structure_hash`], and energy, forces, stress and fixed atoms.
///
/// Returns 64 hexadecimal digits.
pub fn content_hash(systems: &[impl Borrow<System>]) -> String {
    all(DatasetHash::contents(systems.len()), systems)
}

/// Hash of a text: 64 hexadecimal digits.
pub fn text_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn all(mut hash: DatasetHash, systems: &[impl Borrow<System>]) -> String {
    systems.iter().for_each(|system| hash.add(system.borrow()));
    hash.finish()
}

/// A hash in the making, for systems that come one by one.
#[derive(Debug, Clone)]
pub struct DatasetHash {
    hasher: Hasher,
    with_labels: bool,
    bytes: Vec<u8>,
}

impl DatasetHash {
    /// Hash as [`structure_hash`] makes it, for so many systems.
    pub fn structures(n_systems: usize) -> Self {
        Self::new("potstill structures 1", n_systems, false)
    }

    /// Hash as [`content_hash`] makes it, for so many systems.
    pub fn contents(n_systems: usize) -> Self {
        Self::new("potstill contents 1", n_systems, true)
    }

    fn new(kind: &str, n_systems: usize, with_labels: bool) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(kind.as_bytes());
        hasher.update(&(n_systems as u64).to_le_bytes());
        Self { hasher, with_labels, bytes: Vec::new() }
    }

    /// Takes in the next system.
    pub fn add(&mut self, system: &System) {
        self.bytes.clear();
        put_structure(&mut self.bytes, system);
        if self.with_labels {
            put_labels(&mut self.bytes, system);
        }
        self.hasher.update(&self.bytes);
    }

    /// 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

fn put_structure(bytes: &mut Vec<u8>, system: &System) {
    put_length(bytes, system.atomic_numbers.len());
    bytes.extend_from_slice(&system.atomic_numbers);
    put_vectors(bytes, Some(&system.positions));
    put_vectors(bytes, system.cell.as_ref().map(|c| c.as_slice()));
    bytes.extend(system.pbc.map(u8::from));
    put_presence(bytes, system.tags.is_some());
    if let Some(tags) = &system.tags {
        put_length(bytes, tags.len());
        bytes.extend(tags.iter().flat_map(|tag| tag.to_le_bytes()));
    }
}

fn put_labels(bytes: &mut Vec<u8>, system: &System) {
    put_presence(bytes, system.energy.is_some());
    if let Some(energy) = system.energy {
        bytes.extend(energy.to_le_bytes());
    }
    put_vectors(bytes, system.forces.as_deref());
    put_vectors(bytes, system.stress.as_ref().map(|s| s.as_slice()));
    put_presence(bytes, system.fixed.is_some());
    if let Some(fixed) = &system.fixed {
        put_length(bytes, fixed.len());
        bytes.extend(fixed.iter().map(|&f| u8::from(f)));
    }
}

/// Presence, length, numbers: two different systems never give the same bytes.
fn put_vectors(bytes: &mut Vec<u8>, vectors: Option<&[Vec3]>) {
    put_presence(bytes, vectors.is_some());
    if let Some(vectors) = vectors {
        put_length(bytes, vectors.len());
        bytes.extend(vectors.iter().flatten().flat_map(|x| x.to_le_bytes()));
    }
}

fn put_presence(bytes: &mut Vec<u8>, present: bool) {
    bytes.push(u8::from(present));
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend((length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hydrogen() -> System {
        System { atomic_numbers: vec![1, 1], positions: vec![[0.0; 3], [0.0, 0.0, 0.74]], ..System::default() }
    }

    fn changed(change: impl Fn(&mut System)) -> System {
        let mut system = hydrogen();
        change(&mut system);
        system
    }

    #[test]
    fn every_input_changes_both_hashes() {
        let base = [hydrogen()];
        for other in [
            changed(|s| s.atomic_numbers[0] = 2),
            changed(|s| s.positions[1][2] += 1e-15),
            changed(|s| s.cell = Some([[0.0; 3]; 3])),
            changed(|s| s.pbc[2] = true),
            changed(|s| s.tags = Some(vec![0, 0])),
        ] {
            assert_ne!(structure_hash(&base), structure_hash(&[&other]));
            assert_ne!(content_hash(&base), content_hash(&[&other]));
        }
    }

    #[test]
    fn labels_change_the_content_hash_alone() {
        let base = [hydrogen()];
        for other in [
            changed(|s| s.energy = Some(0.0)),
            changed(|s| s.forces = Some(vec![[0.0; 3]; 2])),
            changed(|s| s.stress = Some([[0.0; 3]; 3])),
            changed(|s| s.fixed = Some(vec![false; 2])),
        ] {
            assert_eq!(structure_hash(&base), structure_hash(&[&other]));
            assert_ne!(content_hash(&base), content_hash(&[&other]));
        }
    }

    #[test]
    fn metadata_is_not_hashed_and_order_is() {
        let named = changed(|s| {
            s.metadata.insert("name".into(), potstill_core::system::Value::Text("h2".into()));
        });
        assert_eq!(content_hash(&[hydrogen()]), content_hash(&[named]));
        let moved = changed(|s| s.positions[0][0] = 1.0);
        assert_ne!(structure_hash(&[&hydrogen(), &moved]), structure_hash(&[&moved, &hydrogen()]));
        assert_ne!(structure_hash(&[] as &[System]), structure_hash(&[System::default()]));
    }

    #[test]
    fn the_hash_is_hexadecimal_and_stable() {
        let hash = structure_hash(&[hydrogen()]);
        assert_eq!(hash.len(), 64);
        assert!(hash.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(hash, STABLE, "caches on disk would be lost");
    }

    /// Recorded when the layout of the hashed bytes was fixed.
    const STABLE: &str = "97a19305e65c57c0b6fb2e971557a99f4b359d07c2e3c57d1a6c55390b01ce73";
}
