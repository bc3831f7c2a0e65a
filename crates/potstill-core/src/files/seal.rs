//! Safetensors files written with a checksum inside; see [`checksum`](super::checksum).

use std::io::{self, Write};
use std::path::Path;

use super::atomic::write_atomically;
use super::checksum::{CHECKSUM_KEY, ZEROS, put_digits};
use crate::{Error, Result};

/// Writes the bytes of a file, the same each time it is called.
pub type Body<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// Writes a safetensors file with a checksum in its metadata, through a temporary name; `body` is called twice.
///
/// `head` is what comes before the numbers: the length of the description, and the description, which begins with
/// metadata.
///
/// # Errors
/// [`Error::File`] for a head without metadata, [`Error::Io`] when the disk refuses; a file of that name is then as it
/// was before.
pub fn write_sealed(path: &Path, head: &[u8], body: Body<'_>) -> Result<()> {
    let (mut head, at) = with_room(head).ok_or_else(|| Error::file(path, "has no metadata for a checksum"))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head);
    body(&mut hasher).map_err(|e| Error::io(path, "cannot write", e))?;
    put_digits(&mut head, at, &hasher);
    write_atomically(path, |writer| {
        writer.write_all(&head)?;
        body(writer)
    })
}

/// The head with room for a checksum as the first entry of its metadata, and where its digits lie.
fn with_room(head: &[u8]) -> Option<(Vec<u8>, usize)> {
    const START: &[u8] = b"{\"__metadata__\":{";
    let rest = head.get(8..)?.strip_prefix(START)?.trim_ascii_end();
    let mut text = START.to_vec();
    text.extend_from_slice(format!("\"{CHECKSUM_KEY}\":\"").as_bytes());
    let at = 8 + text.len();
    text.extend_from_slice(&ZEROS);
    text.push(b'"');
    if !rest.starts_with(b"}") {
        text.push(b',');
    }
    text.extend_from_slice(rest);
    // Tensors begin at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.append(&mut text);
    Some((head, at))
}
