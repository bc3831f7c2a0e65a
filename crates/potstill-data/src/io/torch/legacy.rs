//! The serialisation of PyTorch before 1.6, which is still how a storage is pickled on its own: pickles of a magic
//! number, the version, the machine, the object and the list of storages, one after the other, then the storages.

use std::collections::HashMap;

use super::storage::{Place, StorageName};
use crate::io::pickle::{Allowed, Failure, Kind, Pickle};
use potstill_core::files::source::ReadAt;

/// 0x1950a86a20f9469cfc6c, little-endian.
pub(super) const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Version of the layout.
const PROTOCOL: i64 = 1001;
/// Bytes that are read first to look for the pickles; most files need no more.
const FIRST_READ: u64 = 4 << 20;

/// The object's pickle, with the bytes before it, and where each storage lies.
pub(super) struct Legacy<B> {
    pub pickle: Pickle<B>,
    pub storages: HashMap<String, Place>,
}

/// Whether the first bytes are those of such a file.
pub(super) fn is_legacy(start: &[u8]) -> bool {
    memchr::memmem::find(start, &MAGIC).is_some_and(|at| at < 32)
}

/// Reads the pickles from a file, of which no more is held in memory than they need.
pub(super) fn parse_file(source: &(impl ReadAt + ?Sized), allowed: Allowed) -> Result<Legacy<Vec<u8>>, String> {
    let mut length = FIRST_READ.min(source.size());
    loop {
        let bytes = source.bytes(0, length)?;
        match parse(bytes, source, allowed) {
            Err(Failure::CutShort) if length < source.size() => length = (length * 4).min(source.size()),
            done => return done.map_err(String::from),
        }
    }
}

/// Reads the pickles from `bytes`, which are the first of `source`.
pub(super) fn parse<B: AsRef<[u8]>>(
    bytes: B,
    source: &(impl ReadAt + ?Sized),
    allowed: Allowed,
) -> Result<Legacy<B>, Failure> {
    let refuse = |message: &str| Err(Failure::Bad(message.into()));
    let magic = Pickle::parse(bytes.as_ref(), 0, allowed)?;
    if magic.root().kind() != Kind::BigInt(&MAGIC) {
        return refuse("is not a file of torch.save: its first pickle is not the magic number");
    }
    let protocol = Pickle::parse(bytes.as_ref(), magic.end(), allowed)?;
    if protocol.root().as_i64() != Some(PROTOCOL) {
        return refuse("is of an unknown version of torch.save; save it again with a current PyTorch");
    }
    let machine = Pickle::parse(bytes.as_ref(), protocol.end(), allowed)?;
    if machine.root().get("little_endian").map(|v| v.kind()) == Some(Kind::Bool(false)) {
        return refuse("was written on a big-endian machine; save it again as a zip archive");
    }
    // The list of keys stands behind the object, whose pickle must be gone through to find it.
    let object_start = machine.end();
    drop(machine);
    let pickle = Pickle::parse(bytes, object_start, allowed)?;
    let storages = storages(&pickle, source, allowed)?;
    Ok(Legacy { pickle, storages })
}

fn storages<B: AsRef<[u8]>>(
    pickle: &Pickle<B>,
    source: &(impl ReadAt + ?Sized),
    allowed: Allowed,
) -> Result<HashMap<String, Place>, Failure> {
    let keys = Pickle::parse(pickle.bytes(), pickle.end(), allowed)?;
    let mut sizes = HashMap::new();
    for value in pickle.values().filter(|v| v.persistent().is_some()) {
        let name = StorageName::parse(value).map_err(Failure::Bad)?;
        sizes.insert(name.key.to_owned(), name.dtype.size() as u64);
    }
    let mut at = keys.end() as u64;
    let mut places = HashMap::new();
    for key in keys.root().items() {
        let bad = |what: String| Failure::Bad(format!("storage {} {what}", key.describe()));
        let size = key.as_str().and_then(|key| sizes.get(key));
        let size = size.ok_or_else(|| bad("is listed, but nothing refers to it".into()))?;
        let mut count = [0; 8];
        source.fill(at, &mut count).map_err(bad)?;
        let length = u64::from_le_bytes(count).checked_mul(*size).filter(|&n| n <= source.size());
        let length = length.ok_or_else(|| bad("is longer than the file".into()))?;
        at += 8;
        if at + length > source.size() {
            return Err(bad("is cut short".into()));
        }
        places.insert(key.as_str().unwrap_or_default().to_owned(), Place { start: at, length });
        at += length;
    }
    Ok(places)
}
