//! Kind of a file, told by its contents.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::extxyz::ExtxyzReader;
use super::keys::LabelKeys;
use super::{Kind, open_reader};
use potstill_core::files::source::{FileSource, ReadAt};
use potstill_core::{Error, Result};

/// Bytes at the start of a file that are looked at.
const LOOKED_AT: u64 = 4096;
/// Longest head of a safetensors file that is looked at.
const LONGEST_HEAD: u64 = 1 << 26;

impl Kind {
    /// Kind of a file that is there; absent for anything that no command writes.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let mut start = Vec::new();
        let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
        file.take(LOOKED_AT).read_to_end(&mut start).map_err(|e| Error::io(path, "cannot read", e))?;
        if start.starts_with(b"PK\x03\x04") {
            return Ok(is_npz(path).then_some(Self::Npz));
        }
        if let Some(kind) = of_tensors(path, &start)? {
            return Ok(Some(kind));
        }
        let text = start.trim_ascii_start();
        if text.starts_with(b"<svg") || text.starts_with(b"<?xml") && contains(text, b"<svg") {
            return Ok(Some(Self::Svg));
        }
        if text.starts_with(b"[model.scale_factors]") {
            return Ok(Some(Self::ScaleFactors));
        }
        Ok(is_extxyz(path).then_some(Self::Extxyz))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Whether the first system can be read.
fn is_extxyz(path: &Path) -> bool {
    let reader = open_reader(path).map(|input| ExtxyzReader::from_reader(input, path, &LabelKeys::default()));
    reader.is_ok_and(|mut reader| matches!(reader.next(), Some(Ok(_))))
}

/// Whether an archive has the arrays of systems.
fn is_npz(path: &Path) -> bool {
    let archive = npyz::npz::NpzArchive::open(path);
    archive.is_ok_and(|archive| ["N", "Z", "R"].iter().all(|name| archive.array_names().any(|n| n == *name)))
}

/// Kind of a safetensors file: that of a model has its header.
fn of_tensors(path: &Path, start: &[u8]) -> Result<Option<Kind>> {
    let Some((length, _)) = start.split_first_chunk::<8>().filter(|(_, rest)| rest.starts_with(b"{")) else {
        return Ok(None);
    };
    let length = u64::from_le_bytes(*length);
    let source = FileSource::open(path)?;
    if length > LONGEST_HEAD || length > source.size().saturating_sub(8) {
        return Ok(None);
    }
    let head = source.bytes(8, length).map_err(|e| Error::file(path, e))?;
    let Ok(head) = serde_json::from_slice::<serde_json::Value>(&head) else { return Ok(None) };
    let metadata = &head["__metadata__"];
    // States of trainings and shards of caches are safetensors, too, but nobody's output.
    let foreign = metadata.as_object().is_some_and(|m| m.contains_key("potstill-training") || m.contains_key("plan"));
    Ok(match metadata["potstill"].is_string() {
        true => Some(Kind::Model),
        false => (!foreign).then_some(Kind::Weights),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let tensors = |head: &str| [&(head.len() as u64).to_le_bytes()[..], head.as_bytes()].concat();
        let cases = [
            (b"1\n\nH 0 0 0\n".to_vec(), Some(Kind::Extxyz)),
            (b"\n 1\nenergy=1\nH 0 0 0\nrubbish".to_vec(), Some(Kind::Extxyz)),
            (b"5\napples\nand pears\n".to_vec(), None),
            (b"<svg width='1'/>".to_vec(), Some(Kind::Svg)),
            (b"[model.scale_factors]\nx = 1.0\n".to_vec(), Some(Kind::ScaleFactors)),
            (b"[model]\narchitecture = 'painn'\n".to_vec(), None),
            (b"PK\x03\x04 and nothing more".to_vec(), None),
            (tensors(r#"{"__metadata__":{"potstill":"{}"}}"#), Some(Kind::Model)),
            (tensors(r#"{"__metadata__":{"format":"pt"}}"#), Some(Kind::Weights)),
            (tensors(r#"{"__metadata__":{"potstill-training":"{}"}}"#), None),
            (vec![0; 100], None),
        ];
        for (bytes, kind) in cases {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Kind::of(&path).unwrap(), kind, "{}", String::from_utf8_lossy(&bytes));
        }
        for name in ["a.xyz.gz", "b.xyz.zst", "c.npz"] {
            let path = folder.path().join(name);
            let mut writer = crate::io::write(&path).unwrap();
            let system =
                potstill_core::System { atomic_numbers: vec![1], positions: vec![[0.0; 3]], ..Default::default() };
            writer.write(&system).unwrap();
            writer.finish().unwrap();
            assert_eq!(Kind::of(&path).unwrap(), Some(Kind::of_systems(&path).unwrap()), "{name}");
        }
        assert!(Kind::of_systems(Path::new("a.lmdb")).is_err());
    }
}
