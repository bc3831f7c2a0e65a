//! Checksums inside files: a flipped bit is an error, not a number.
//!
//! Safetensors files have a metadata key and zip archives a comment with 64 hexadecimal digits: the BLAKE3 hash of the
//! whole file, in which those digits count as zeros. Header, names, shapes and numbers are all covered. Other programs
//! read such files as any other; files without a checksum, of older versions or other programs, are let through.
//!
//! Writers: `write_sealed` for safetensors; the npz writer has its own. Readers: [`verify`] for both, before anything
//! that the file says is used.

use std::path::Path;

use super::source::ReadAt;
use crate::{Error, Result};

/// Key of the checksum in the metadata of a safetensors file, and what the comment of an archive begins with.
pub const CHECKSUM_KEY: &str = "potstill-checksum";

/// Hexadecimal digits of a checksum.
const DIGITS: usize = 64;
/// Digits in place of the checksum while it is computed.
pub(super) const ZEROS: [u8; DIGITS] = [b'0'; DIGITS];
/// Longest head of a safetensors file, as the format has it.
const LONGEST_HEAD: u64 = 100_000_000;
/// Bytes hashed at a time.
const WINDOW: u64 = 1 << 20;

/// Compares a safetensors file or an archive with the checksum inside it; false when it has none.
///
/// # Errors
/// [`Error::File`] when they differ: the file is damaged. Also when it cannot be read.
pub fn verify(path: &Path, source: &(impl ReadAt + ?Sized)) -> Result<bool> {
    let differs = "is damaged: its contents do not have the checksum that it carries; copy it again, make it again or \
                   use an older one (if another program changed it on purpose, it must drop `potstill-checksum`)";
    match matches(source).map_err(|message| Error::file(path, message))? {
        Some(false) => Err(Error::file(path, differs)),
        found => Ok(found.is_some()),
    }
}

/// Puts the checksum of an archive into its comment, which must be [`zip_comment`] and end the file.
pub fn seal_zip(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(DIGITS) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes);
        put_digits(bytes, at, &hasher);
    }
}

/// Comment of an archive with room for its checksum.
pub fn zip_comment() -> String {
    format!("{CHECKSUM_KEY}:{}", "0".repeat(DIGITS))
}

pub(super) fn put_digits(bytes: &mut [u8], at: usize, hasher: &blake3::Hasher) {
    if let Some(place) = bytes.get_mut(at..at + DIGITS) {
        place.copy_from_slice(hasher.finalize().to_hex().as_bytes());
    }
}

/// Whether the contents have the checksum that is with them; absent without one.
fn matches(source: &(impl ReadAt + ?Sized)) -> Result<Option<bool>, String> {
    let start = source.bytes(0, source.size().min(4))?;
    let found = if start == *b"PK\x03\x04" { in_zip(source)? } else { in_tensors(source)? };
    let Some((at, digits)) = found else { return Ok(None) };
    let mut hasher = blake3::Hasher::new();
    let digits_end = at + DIGITS as u64;
    for (from, to, counted) in [(0, at, true), (at, digits_end, false), (digits_end, source.size(), true)] {
        match counted {
            true => hash_range(&mut hasher, source, from, to)?,
            false => drop(hasher.update(&ZEROS)),
        }
    }
    Ok(Some(hasher.finalize().to_hex().as_bytes() == digits))
}

fn hash_range(
    hasher: &mut blake3::Hasher,
    source: &(impl ReadAt + ?Sized),
    mut from: u64,
    to: u64,
) -> Result<(), String> {
    let mut buffer = Vec::new();
    while from < to {
        let length = (to - from).min(WINDOW);
        buffer.resize(length as usize, 0);
        source.fill(from, &mut buffer)?;
        hasher.update(&buffer);
        from += length;
    }
    Ok(())
}

/// The digits in the comment of an archive, and where they lie.
fn in_zip(source: &(impl ReadAt + ?Sized)) -> Result<Option<(u64, Vec<u8>)>, String> {
    let mark = format!("{CHECKSUM_KEY}:").into_bytes();
    let length = (mark.len() + DIGITS) as u64;
    let Some(start) = source.size().checked_sub(length) else { return Ok(None) };
    let comment = source.bytes(start, length)?;
    Ok(comment.strip_prefix(&mark[..]).map(|digits| (start + mark.len() as u64, digits.to_vec())))
}

#[derive(serde::Deserialize)]
struct Head {
    #[serde(rename = "__metadata__")]
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// The digits in the metadata of a safetensors file, and where they lie; what is no such file has none.
fn in_tensors(source: &(impl ReadAt + ?Sized)) -> Result<Option<(u64, Vec<u8>)>, String> {
    let mut length = [0; 8];
    if source.size() < 8 {
        return Ok(None);
    }
    source.fill(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEAD || length > source.size() - 8 {
        return Ok(None);
    }
    let head = source.bytes(8, length)?;
    // A head that cannot be read is for the reader of the format to complain about.
    let metadata = serde_json::from_slice::<Head>(&head).ok().and_then(|head| head.metadata);
    let Some(digits) = metadata.and_then(|mut m| m.remove(CHECKSUM_KEY)) else { return Ok(None) };
    let key = memchr::memmem::find(&head, CHECKSUM_KEY.as_bytes());
    let place = key.and_then(|key| Some(key + memchr::memmem::find(&head[key..], digits.as_bytes())?));
    match place.filter(|_| digits.len() == DIGITS) {
        Some(place) => Ok(Some((8 + place as u64, digits.into_bytes()))),
        None => Err(format!("is damaged: `{CHECKSUM_KEY}` in its metadata does not have {DIGITS} digits")),
    }
}

#[cfg(test)]
mod tests {

    use super::super::seal::write_sealed;
    use super::*;

    const BODY: &[u8] = &[0, 0, 128, 63, 0, 0, 0, 64];

    fn sealed(folder: &Path) -> Vec<u8> {
        let path = folder.join("a.safetensors");
        let description = br#"{"__metadata__":{"note":"x"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut head = (description.len() as u64).to_le_bytes().to_vec();
        head.extend_from_slice(description);
        write_sealed(&path, &head, &|w| w.write_all(BODY)).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn sealed_tensors_are_read_by_the_format_and_every_flip_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = sealed(folder.path());
        let path = Path::new("a.safetensors");
        assert!(verify(path, &bytes[..]).unwrap());
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["note"], "x");
        let read = |bytes: &[u8]| -> Option<Vec<u8>> {
            verify(path, bytes).ok()?;
            Some(safetensors::SafeTensors::deserialize(bytes).ok()?.tensor("w").ok()?.data().to_vec())
        };
        assert_eq!(read(&bytes).unwrap(), BODY);
        let mut errors = 0;
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(&flipped) {
                None => errors += 1,
                // A flip in the name of the key itself: without a checksum, but with the same numbers.
                Some(data) => assert_eq!(data, BODY, "bit {bit}"),
            }
        }
        assert!(errors > 7 * bytes.len(), "{errors}");
        let message = verify(path, &[&bytes[..bytes.len() - 1], &[7]].concat()[..]).unwrap_err().to_string();
        assert!(message.starts_with("a.safetensors: is damaged: its contents"), "{message}");
    }

    #[test]
    fn what_has_no_checksum_is_let_through() {
        let plain = safetensors::serialize(Vec::<(String, safetensors::tensor::TensorView<'_>)>::new(), None).unwrap();
        for bytes in [&plain[..], b"", b"PK\x03\x04", b"\xff\xff\xff\xff\xff\xff\xff\xff{}", b"some text, and more"] {
            assert!(!verify(Path::new("a"), bytes).unwrap());
        }
        assert!(write_sealed(Path::new("a"), &plain[..16], &|_| Ok(())).is_err());
    }
}
