use std::path::Path;

use proptest::prelude::*;

use super::*;

const PAGE: usize = 4096;

/// Writes databases of the layout of LMDB, as small as a test needs.
#[derive(Default)]
struct Writer {
    pages: Vec<Vec<u8>>,
}

impl Writer {
    fn page(&mut self, flags: u16, nodes: &[Vec<u8>]) -> u64 {
        let number = self.pages.len() as u64;
        let mut page = vec![0; PAGE];
        let mut upper = PAGE;
        for (i, node) in nodes.iter().enumerate() {
            upper -= node.len().next_multiple_of(2);
            page[upper..upper + node.len()].copy_from_slice(node);
            page[16 + 2 * i..18 + 2 * i].copy_from_slice(&(upper as u16).to_le_bytes());
        }
        page[..8].copy_from_slice(&number.to_le_bytes());
        page[10..12].copy_from_slice(&flags.to_le_bytes());
        page[12..14].copy_from_slice(&((16 + 2 * nodes.len()) as u16).to_le_bytes());
        page[14..16].copy_from_slice(&(upper as u16).to_le_bytes());
        self.pages.push(page);
        number
    }

    fn overflow(&mut self, value: &[u8]) -> u64 {
        let number = self.pages.len() as u64;
        let n = (value.len() + 16).div_ceil(PAGE);
        let mut bytes = vec![0; n * PAGE];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[10] = 4;
        bytes[12..16].copy_from_slice(&(n as u32).to_le_bytes());
        bytes[16..16 + value.len()].copy_from_slice(value);
        self.pages.extend(bytes.chunks(PAGE).map(<[u8]>::to_vec));
        number
    }

    fn leaf_node(&mut self, key: &[u8], value: &[u8]) -> Vec<u8> {
        let big = value.len() > 1500;
        let data = if big { self.overflow(value).to_le_bytes().to_vec() } else { value.to_vec() };
        let head = [value.len() as u16, (value.len() >> 16) as u16, u16::from(big), key.len() as u16];
        [head.map(u16::to_le_bytes).concat(), key.to_vec(), data].concat()
    }
}

/// A database of these pairs, `fanout` to a page.
pub(crate) fn database(pairs: &[(Vec<u8>, Vec<u8>)], fanout: usize) -> Vec<u8> {
    let mut pairs = pairs.to_vec();
    pairs.sort();
    let mut writer = Writer { pages: vec![vec![0; PAGE]; 2] };
    let mut level: Vec<(Vec<u8>, u64)> = Vec::new();
    for chunk in pairs.chunks(fanout) {
        let nodes: Vec<_> = chunk.iter().map(|(key, value)| writer.leaf_node(key, value)).collect();
        level.push((chunk[0].0.clone(), writer.page(2, &nodes)));
    }
    let mut depth = u16::from(!level.is_empty());
    while level.len() > 1 {
        let mut above = Vec::new();
        for chunk in level.chunks(fanout) {
            let node = |(i, (key, page)): (usize, &(Vec<u8>, u64))| {
                let key = if i == 0 { &[][..] } else { key };
                let head = [*page as u16, (page >> 16) as u16, (page >> 32) as u16, key.len() as u16];
                [&head.map(u16::to_le_bytes).concat(), key].concat()
            };
            let nodes: Vec<_> = chunk.iter().enumerate().map(node).collect();
            above.push((chunk[0].0.clone(), writer.page(1, &nodes)));
        }
        (level, depth) = (above, depth + 1);
    }
    let root = level.first().map_or(u64::MAX, |(_, page)| *page);
    let last = writer.pages.len() as u64 - 1;
    for (number, page) in writer.pages.iter_mut().take(2).enumerate() {
        page[10] = 8;
        page[16..20].copy_from_slice(&0xBEEF_C0DE_u32.to_le_bytes());
        page[20] = 1;
        page[40..44].copy_from_slice(&(PAGE as u32).to_le_bytes());
        page[94..96].copy_from_slice(&depth.to_le_bytes());
        page[120..128].copy_from_slice(&(pairs.len() as u64).to_le_bytes());
        page[128..136].copy_from_slice(&root.to_le_bytes());
        page[136..144].copy_from_slice(&last.to_le_bytes());
        page[144] = number as u8;
    }
    writer.pages.concat()
}

pub(crate) fn open(bytes: Vec<u8>) -> potstill_core::Result<Lmdb> {
    Lmdb::from_source(Box::new(bytes), Path::new("t.lmdb"))
}

fn numbered(n: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = |i: usize| vec![i as u8; if i.is_multiple_of(7) { 5000 + i } else { i % 50 }];
    (0..n).map(|i| (i.to_string().into_bytes(), value(i))).collect()
}

#[test]
fn trees_of_every_depth() {
    for n in [0, 1, 4, 5, 30, 300] {
        let pairs = numbered(n);
        let lmdb = open(database(&pairs, 4)).unwrap();
        assert_eq!(lmdb.n_entries(), n as u64);
        for (key, value) in &pairs {
            assert_eq!(lmdb.get(key).unwrap().as_ref(), Some(value), "{n} pairs");
        }
        for absent in [&b""[..], b"-", b"00", b"301", b"zzz"] {
            assert_eq!(lmdb.get(absent).unwrap(), None);
        }
        let mut keys: Vec<_> = pairs.into_iter().map(|(key, _)| key).collect();
        keys.sort();
        assert_eq!(lmdb.keys().collect::<potstill_core::Result<Vec<_>>>().unwrap(), keys);
    }
}

#[test]
fn other_files_and_circles_are_refused() {
    assert!(open(b"nothing".to_vec()).err().unwrap().to_string().starts_with("t.lmdb: is not an LMDB file"));
    let mut bytes = database(&numbered(30), 4);
    let root = bytes.len() - PAGE;
    // The root's last child is made to be the root.
    let node = usize::from(u16::from_le_bytes([bytes[root + 18], bytes[root + 19]]));
    bytes[root + node..root + node + 2].copy_from_slice(&((root / PAGE) as u16).to_le_bytes());
    let error = open(bytes).unwrap().keys().collect::<potstill_core::Result<Vec<_>>>().unwrap_err().to_string();
    assert!(error.contains("is damaged; copy or download the file again"), "{error}");
}

/// Reads everything that can be read.
fn exhaust(bytes: Vec<u8>) -> potstill_core::Result<()> {
    let lmdb = open(bytes)?;
    for key in lmdb.keys() {
        lmdb.get(&key?)?;
    }
    Ok(())
}

#[test]
fn cut_anywhere_gives_an_error() {
    let bytes = database(&numbered(60), 4);
    for end in (0..bytes.len()).step_by(1000) {
        assert!(exhaust(bytes[..end].to_vec()).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn changed_bytes_give_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, any::<u8>()), 1..30)
    ) {
        let mut bytes = database(&numbered(60), 4);
        let pages = bytes.len() / PAGE;
        for (page, at, byte) in &changes {
            bytes[page.index(pages) * PAGE + at] = *byte;
        }
        let _ = exhaust(bytes);
    }
}
