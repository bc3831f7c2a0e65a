//! A page of the tree.

/// Bytes before a page's table of nodes, and before the data of an overflow page.
pub(super) const HEADER: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
/// A node's flags: the value lies on overflow pages; the value is a database; the value is a set of duplicates.
const BIG: u16 = 1;
const SUB: u16 = 2;
const DUPLICATES: u16 = 4;

/// A branch or leaf page.
#[derive(Debug)]
pub(super) struct Page {
    bytes: Vec<u8>,
    pub leaf: bool,
    pub n_nodes: usize,
}

/// Place of the value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `start..end` of the page.
    Inside(usize, usize),
    /// On overflow pages, the first of which is `page`.
    Overflow { page: u64, length: u64 },
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Page {
    /// Takes the bytes of page `number`; absent when they are not a branch or leaf page of that number.
    pub fn parse(bytes: Vec<u8>, number: u64) -> Option<Self> {
        let flags = u16_at(&bytes, 10)?;
        let leaf = match flags & 0x6f {
            LEAF => true,
            BRANCH => false,
            _ => return None,
        };
        let lower = usize::from(u16_at(&bytes, 12)?);
        let n_nodes = lower.checked_sub(HEADER)? / 2;
        (u64_at(&bytes, 0)? == number && lower <= bytes.len()).then_some(Self { bytes, leaf, n_nodes })
    }

    /// Number of overflow pages that start with this one; absent when it is not such a page.
    pub fn overflow(header: &[u8], number: u64) -> Option<u64> {
        let count = u32::from_le_bytes(header.get(12..16)?.try_into().ok()?);
        (u64_at(header, 0)? == number && u16_at(header, 10)? & OVERFLOW != 0).then_some(count.into())
    }

    /// Start of node `i`.
    fn node(&self, i: usize) -> Option<usize> {
        (i < self.n_nodes).then_some(())?;
        u16_at(&self.bytes, HEADER + 2 * i).map(usize::from)
    }

    /// Key of node `i`; that of a branch page's first node is not used.
    pub fn key(&self, i: usize) -> Option<&[u8]> {
        let at = self.node(i)?;
        let length = usize::from(u16_at(&self.bytes, at + 6)?);
        self.bytes.get(at + 8..at + 8 + length)
    }

    /// Number of the page below node `i` of a branch page.
    pub fn child(&self, i: usize) -> Option<u64> {
        let at = self.node(i)?;
        let part = |k: usize| u16_at(&self.bytes, at + 2 * k).map(u64::from);
        Some(part(0)? | part(1)? << 16 | part(2)? << 32)
    }

    /// Place of the value of node `i` of a leaf page.
    pub fn value(&self, i: usize) -> Option<Place> {
        let at = self.node(i)?;
        let part = |k: usize| u16_at(&self.bytes, at + 2 * k);
        let (length, flags) = (u64::from(part(0)?) | u64::from(part(1)?) << 16, part(2)?);
        let start = at + 8 + usize::from(part(3)?);
        if flags & (SUB | DUPLICATES) != 0 {
            return None;
        }
        if flags & BIG != 0 {
            return Some(Place::Overflow { page: u64_at(&self.bytes, start)?, length });
        }
        let end = start + usize::try_from(length).ok()?;
        (end <= self.bytes.len()).then_some(Place::Inside(start, end))
    }

    /// Bytes of a [`Place::Inside`].
    pub fn slice(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }
}
