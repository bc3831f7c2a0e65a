//! The directory of a zip archive whose entries are not compressed, as `torch.save` writes it.
//!
//! Each entry is compared with its CRC-32 once, when it is first looked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::storage::Place;
use potstill_core::files::source::ReadAt;

/// Longest directory that is read; PyTorch needs about 100 bytes per tensor.
const MAX_DIRECTORY: u64 = 16 << 20;

/// Bytes read at a time.
const WINDOW: u64 = 1 << 20;

/// Entries of an archive by name.
#[derive(Debug)]
pub(super) struct Archive {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    method: u16,
    header: u64,
    length: u64,
    /// CRC-32 of its bytes; 0 where `torch.save` was told to leave it out.
    crc: u32,
    /// Whether the bytes have been compared with it.
    checked: AtomicBool,
}

impl Archive {
    pub fn parse(source: &(impl ReadAt + ?Sized)) -> Result<Self, String> {
        let (offset, length) = directory(source)?;
        if length > MAX_DIRECTORY {
            return Err(format!("the zip directory has {length} bytes, more than any checkpoint's"));
        }
        let bytes = source.bytes(offset, length).map_err(|e| format!("the zip directory {e}"))?;
        let mut entries = HashMap::new();
        let mut rest = &bytes[..];
        while rest.starts_with(b"PK\x01\x02") {
            let (name, entry, next) = record(rest).ok_or("the zip directory is damaged")?;
            entries.insert(name, entry);
            rest = next;
        }
        Ok(Self { entries })
    }

    /// Name of the folder that holds `data.pkl`, with a slash behind it.
    pub fn prefix(&self) -> Result<&str, String> {
        let mut found = self.entries.keys().filter_map(|name| name.strip_suffix("data.pkl"));
        let found = found.find(|p| p.is_empty() || p.matches('/').count() == 1 && p.ends_with('/'));
        found.ok_or_else(|| "is a zip archive without `data.pkl`; it was not written by torch.save".into())
    }

    /// Where the bytes of an entry lie, which are as they were written; absent when there is no such entry.
    pub fn find(&self, source: &(impl ReadAt + ?Sized), name: &str) -> Result<Option<Place>, String> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        if entry.method != 0 {
            return Err(format!("`{name}` is compressed; torch.save does not compress, so unpack it and zip with -0"));
        }
        let mut header = [0; 30];
        source.fill(entry.header, &mut header).map_err(|e| format!("`{name}` {e}"))?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(format!("`{name}` is not where the zip directory says"));
        }
        let start = entry.header + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        if start.checked_add(entry.length).is_none_or(|end| end > source.size()) {
            return Err(format!("`{name}` is cut short"));
        }
        let place = Place { start, length: entry.length };
        if !entry.checked.load(Ordering::Relaxed) {
            entry.check(source, place).map_err(|e| format!("`{name}` {e}"))?;
            entry.checked.store(true, Ordering::Relaxed);
        }
        Ok(Some(place))
    }
}

impl Entry {
    fn check(&self, source: &(impl ReadAt + ?Sized), place: Place) -> Result<(), String> {
        if self.crc == 0 {
            return Ok(());
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < place.length {
            let length = (place.length - done).min(WINDOW);
            buffer.resize(length as usize, 0);
            source.fill(place.start + done, &mut buffer)?;
            hasher.update(&buffer);
            done += length;
        }
        match hasher.finalize() == self.crc {
            true => Ok(()),
            false => {
                Err("is damaged: its bytes do not have the CRC-32 of the zip directory; copy the file again".into())
            }
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Offset and length of the directory.
fn directory(source: &(impl ReadAt + ?Sized)) -> Result<(u64, u64), String> {
    // The last record has 22 bytes and a comment of at most 65,535.
    let tail_length = source.size().min(22 + 65_535);
    let tail_start = source.size() - tail_length;
    let tail = source.bytes(tail_start, tail_length)?;
    let at = memchr::memmem::rfind(&tail, b"PK\x05\x06").filter(|at| at + 22 <= tail.len());
    let at = at.ok_or("is a zip archive that is cut short; download or save it again")?;
    let (length, offset) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16));
    let locator = at.checked_sub(20).map(|l| &tail[l..at]).filter(|l| l.starts_with(b"PK\x06\x07"));
    match locator {
        Some(locator) if offset == u32::MAX || length == u32::MAX => {
            let record = source.bytes(u64_at(locator, 8), 56).map_err(|e| format!("the zip directory {e}"))?;
            Ok((u64_at(&record, 48), u64_at(&record, 40)))
        }
        _ => Ok((offset.into(), length.into())),
    }
}

/// Reads an entry of the directory, and returns it with the bytes that follow it.
fn record(bytes: &[u8]) -> Option<(String, Entry, &[u8])> {
    let (head, rest) = bytes.split_at_checked(46)?;
    let (name, rest) = rest.split_at_checked(u16_at(head, 28).into())?;
    let (mut extra, rest) = rest.split_at_checked(u16_at(head, 30).into())?;
    let (_comment, rest) = rest.split_at_checked(u16_at(head, 32).into())?;
    let (packed, full, narrow_header) = (u32_at(head, 20), u32_at(head, 24), u32_at(head, 42));
    let (header, length, crc) = (u64::from(narrow_header), u64::from(full), u32_at(head, 16));
    let mut entry = Entry { method: u16_at(head, 10), header, length, crc, checked: AtomicBool::new(false) };
    // Sizes beyond 4 GiB stand in an extra field, only those that need it, in this order.
    while extra.len() >= 4 {
        let (field, next) = extra.split_at_checked(4 + usize::from(u16_at(extra, 2)))?;
        if u16_at(field, 0) == 1 {
            let mut at = 4;
            let mut wide = |narrow: u32| {
                let value = if narrow == u32::MAX { u64_at(field, at) } else { return u64::from(narrow) };
                at += 8;
                value
            };
            entry.length = wide(full);
            wide(packed);
            entry.header = wide(narrow_header);
        }
        extra = next;
    }
    // A header beyond any file would overflow sums of offsets.
    (entry.header < 1 << 62).then_some(())?;
    Some((String::from_utf8_lossy(name).into_owned(), entry, rest))
}
