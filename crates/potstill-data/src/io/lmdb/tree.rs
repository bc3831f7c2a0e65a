//! An LMDB file: its meta pages, and the search from the root to a key.

use std::path::Path;

use super::page::{HEADER, Page, Place};
use potstill_core::files::source::{FileSource, ReadAt};
use potstill_core::{Error, Result};

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// Bytes of a meta page that mean something.
const META: u64 = 152;
/// Page sizes that LMDB can have.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 512..=65_536;
/// A tree of pages with two entries each would need more to fill any disk.
pub(super) const MAX_DEPTH: u16 = 32;
/// The number of no page: the tree is empty.
const NO_PAGE: u64 = u64::MAX;

/// An open database: the unnamed one of an LMDB file.
pub struct Lmdb {
    source: Box<dyn ReadAt + Send + Sync>,
    path: std::path::PathBuf,
    meta: Meta,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    page_size: u32,
    /// Flags of the unnamed database.
    flags: u16,
    pub depth: u16,
    entries: u64,
    root: u64,
    last_page: u64,
    transaction: u64,
}

impl Lmdb {
    /// Opens the file (`data.mdb`, or a file of any name if made with `subdir=False`).
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::File`] when it is not an LMDB file that can be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_source(Box::new(FileSource::open(path)?), path)
    }

    /// Like [`Lmdb::open`], from bytes that may lie in memory; `path` is what errors call them.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn from_source(source: Box<dyn ReadAt + Send + Sync>, path: &Path) -> Result<Self> {
        let meta = newest_meta(&*source).map_err(|message| Error::file(path, message))?;
        Ok(Self { source, path: path.to_path_buf(), meta })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of keys, as the file says.
    pub fn n_entries(&self) -> u64 {
        self.meta.entries
    }

    /// Number of pages that the file says it uses.
    pub(super) fn n_pages(&self) -> u64 {
        self.meta.last_page.saturating_add(1)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::file(&self.path, message)
    }

    /// The root and the depth of the tree; absent when it is empty.
    pub(super) fn root(&self) -> Option<(u64, u16)> {
        (self.meta.root != NO_PAGE).then_some((self.meta.root, self.meta.depth))
    }

    /// Page `number`, which must be a leaf where `leaf` says so, and hold at least one node.
    pub(super) fn page(&self, number: u64, leaf: bool) -> Result<Page> {
        let bytes = self.page_bytes(number, self.meta.page_size.into())?;
        let page = Page::parse(bytes, number).filter(|p| p.leaf == leaf && p.n_nodes > 0);
        page.ok_or_else(|| self.damaged(number))
    }

    pub(super) fn damaged(&self, page: u64) -> Error {
        self.error(format!("page {page} of the LMDB file is damaged; copy or download the file again"))
    }

    fn page_bytes(&self, number: u64, length: u64) -> Result<Vec<u8>> {
        let at = number.checked_mul(self.meta.page_size.into()).filter(|_| number <= self.meta.last_page);
        let at = at.ok_or_else(|| self.damaged(number))?;
        self.source.bytes(at, length).map_err(|e| self.error(format!("the LMDB file {e}")))
    }

    /// The value of a key, copied out of the file; absent when there is no such key.
    ///
    /// # Errors
    /// [`Error::File`] when a page on the way is damaged, or the file is cut short.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some((mut number, depth)) = self.root() else { return Ok(None) };
        for _ in 1..depth {
            let page = self.page(number, false)?;
            // The last child whose key is not beyond; the first has none of its own.
            let at = self.lower_bound(&page, number, 1, |k| k <= key)?;
            number = page.child(at - 1).ok_or_else(|| self.damaged(number))?;
        }
        let page = self.page(number, true)?;
        let at = self.lower_bound(&page, number, 0, |k| k < key)?;
        if at == page.n_nodes || page.key(at) != Some(key) {
            return Ok(None);
        }
        let place = page.value(at).ok_or_else(|| self.damaged(number))?;
        self.value(&page, place).map(Some)
    }

    /// First node from `first` on whose key is not `before`.
    fn lower_bound(&self, page: &Page, number: u64, first: usize, before: impl Fn(&[u8]) -> bool) -> Result<usize> {
        let (mut low, mut high) = (first, page.n_nodes);
        while low < high {
            let middle = low.midpoint(high);
            let key = page.key(middle).ok_or_else(|| self.damaged(number))?;
            if before(key) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The bytes of a value.
    pub(super) fn value(&self, page: &Page, place: Place) -> Result<Vec<u8>> {
        match place {
            Place::Inside(start, end) => Ok(page.slice(start, end).to_vec()),
            Place::Overflow { page: first, length } => {
                let header = self.page_bytes(first, HEADER as u64)?;
                let pages = Page::overflow(&header, first).ok_or_else(|| self.damaged(first))?;
                let room = pages * u64::from(self.meta.page_size);
                let within = pages.checked_add(first).is_some_and(|end| end <= self.n_pages());
                if !within || length + HEADER as u64 > room {
                    return Err(self.damaged(first));
                }
                let at = first * u64::from(self.meta.page_size) + HEADER as u64;
                self.source.bytes(at, length).map_err(|e| self.error(format!("the LMDB file {e}")))
            }
        }
    }
}

/// The meta page of the last transaction that was completed.
fn newest_meta(source: &dyn ReadAt) -> Result<Meta, String> {
    let first = read_meta(source, 0)?;
    let second = read_meta(source, first.map_or(4096, |m| m.page_size.into()))?;
    let newest = [first, second].into_iter().flatten().max_by_key(|m| m.transaction);
    let meta = newest.ok_or("is not an LMDB file (version 0.9 of LMDB, 64-bit, little-endian)")?;
    if meta.flags & !0x8000 != 0 {
        return Err(format!("is an LMDB file of a kind that is not known (flags {:#x})", meta.flags));
    }
    if meta.root != NO_PAGE && !(1..=MAX_DEPTH).contains(&meta.depth) {
        return Err(format!("is a damaged LMDB file: its tree has depth {}", meta.depth));
    }
    Ok(meta)
}

/// The meta page at byte `at`; absent when it is not one.
fn read_meta(source: &dyn ReadAt, at: u64) -> Result<Option<Meta>, String> {
    if source.size() < at + META {
        return Ok(None);
    }
    let bytes = source.bytes(at, META)?;
    Ok(parse_meta(&bytes))
}

fn parse_meta(bytes: &[u8]) -> Option<Meta> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if (u32_at(16)?, u32_at(20)?) != (MAGIC, VERSION) {
        return None;
    }
    // Two databases of 48 bytes each: that of free pages, whose first field is the page size, and the unnamed one.
    let (free, main, tail) = (40, 88, 136);
    let page_size = u32_at(free)?;
    let page_size = (PAGE_SIZES.contains(&page_size) && page_size.is_power_of_two()).then_some(page_size)?;
    Some(Meta {
        page_size,
        flags: u16_at(main + 4)?,
        depth: u16_at(main + 6)?,
        entries: u64_at(main + 32)?,
        root: u64_at(main + 40)?,
        last_page: u64_at(tail)?,
        transaction: u64_at(tail + 8)?,
    })
}
