//! Containers whose lengths and checksums would give every change away: their contents are changed, and they are closed again.

use potstill_core::files::checksum::CHECKSUM_KEY;
use serde_json::{Map, Value};

/// Changes a part of a file, chosen by a number, and puts lengths and checksums around it right; absent when the file is no
/// longer of its kind.
pub type Shape = fn(bytes: &[u8], choice: usize, change: Change<'_>) -> Option<Vec<u8>>;

/// Change of a part of an input.
pub type Change<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

/// A file without a container.
pub fn plain(_: &[u8], _: usize, _: Change<'_>) -> Option<Vec<u8>> {
    None
}

/// A file with 32 bytes of BLAKE3 over everything before them.
pub fn hashed(bytes: &[u8], _: usize, change: Change<'_>) -> Option<Vec<u8>> {
    let mut body = change(bytes.get(..bytes.len().checked_sub(32)?)?);
    let hash = blake3::hash(&body);
    body.extend_from_slice(hash.as_bytes());
    Some(body)
}

/// The JSON of a safetensors file, or the JSON inside its metadata. Its checksum is left out: readers let such files through.
pub fn safetensors(bytes: &[u8], choice: usize, change: Change<'_>) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (json, tensors) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut head: Map<String, Value> = serde_json::from_slice(json).ok()?;
    let metadata = head.get_mut("__metadata__")?.as_object_mut()?;
    metadata.retain(|key, _| key != CHECKSUM_KEY);
    let is_inner = !choice.is_multiple_of(3);
    if let (true, Some(text)) = (is_inner, metadata.values_mut().next()) {
        let changed = change(text.as_str()?.as_bytes());
        *text = Value::String(String::from_utf8_lossy(&changed).into_owned());
    }
    let json = serde_json::to_vec(&head).ok()?;
    let json = if is_inner { json } else { change(&json) };
    Some([&(json.len() as u64).to_le_bytes()[..], &json, tensors].concat())
}

/// An entry of a zip archive without compression, which is written anew with right sizes and checksums.
pub fn zip(bytes: &[u8], choice: usize, change: Change<'_>) -> Option<Vec<u8>> {
    let mut entries = unzip(bytes)?;
    let n = entries.len();
    let (_, data) = entries.get_mut(choice.checked_rem(n)?)?;
    *data = change(data);
    Some(zipped(&entries))
}

/// Entries of an archive that [`zipped`] or a similar program wrote, by its local headers.
fn unzip(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let number = |bytes: &[u8], at: usize, width: usize| {
        bytes.get(at..at + width)?.iter().rev().try_fold(0_usize, |n, b| n.checked_mul(256)?.checked_add((*b).into()))
    };
    let mut entries = Vec::new();
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06")?;
    let mut at = number(bytes, end + 16, 4)?;
    while bytes.get(at..at + 4)? == b"PK\x01\x02" {
        let (name, extra, comment) =
            (number(bytes, at + 28, 2)?, number(bytes, at + 30, 2)?, number(bytes, at + 32, 2)?);
        let (length, header) = (number(bytes, at + 24, 4)?, number(bytes, at + 42, 4)?);
        let text = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned();
        let start = header + 30 + number(bytes, header + 26, 2)? + number(bytes, header + 28, 2)?;
        entries.push((text, bytes.get(start..start.checked_add(length)?)?.to_vec()));
        at += 46 + name + extra + comment;
    }
    Some(entries)
}

/// A zip archive of entries that are stored as they are.
pub fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let (at, n) = (bytes.len() as u32, data.len() as u32);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend([crc32(data), n, n].map(u32::to_le_bytes).as_flattened());
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).as_flattened());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &at.to_le_bytes(), name.as_bytes()].concat());
    }
    let (at, length, n) = (bytes.len() as u32, directory.len() as u32, (entries.len() as u16).to_le_bytes());
    let sizes = [length, at].map(u32::to_le_bytes);
    [bytes, directory, [b"PK\x05\x06\0\0\0\0", &n[..], &n, sizes.as_flattened(), &[0, 0]].concat()].concat()
}

/// The checksum of zip archives.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_closed_again() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let entries = vec![("a".to_owned(), b"one".to_vec()), ("b/c".to_owned(), Vec::new())];
        assert_eq!(unzip(&zipped(&entries)).unwrap(), entries);
        let longer = zip(&zipped(&entries), 2, &mut |part| [part, b" more"].concat()).unwrap();
        assert_eq!(unzip(&longer).unwrap()[0].1, b"one more");
        let body = hashed(&[1; 40], 0, &mut <[u8]>::to_vec).unwrap();
        assert_eq!(blake3::hash(&body[..8]).as_bytes(), &body[8..]);
    }

    #[test]
    fn metadata_of_tensors_is_reached() {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![3], b"abc").unwrap();
        let metadata = [("key".to_owned(), r#"{"n": 1}"#.to_owned())].into_iter().collect();
        let bytes = safetensors::serialize([("t", view)], Some(metadata)).unwrap();
        let changed = super::safetensors(&bytes, 1, &mut |text| {
            assert_eq!(text, br#"{"n": 1}"#);
            b"longer than before".to_vec()
        });
        let changed = changed.unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&changed).unwrap();
        assert_eq!(tensors.tensor("t").unwrap().data(), b"abc");
    }
}
