//! Storages: the runs of entries that tensors are views of.

use super::DType;
use crate::io::pickle::{Kind, Value};

/// Description of a storage that lies outside the pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StorageName<'a> {
    pub key: &'a str,
    /// Type of the entries; bytes when the storage has no type of its own.
    pub dtype: DType,
    pub untyped: bool,
    /// Number of entries.
    pub length: u64,
    /// Offset and length, in entries, of a view of the storage (before PyTorch 1.0).
    pub view: Option<(u64, u64)>,
}

impl<'a> StorageName<'a> {
    /// Reads the persistent id `('storage', class, key, location, length[, view])`.
    pub fn parse(value: Value<'a>) -> Result<Self, String> {
        let id = value.persistent().ok_or_else(|| format!("a storage is expected, found {}", value.describe()))?;
        let item = |i: usize| id.item(i).ok_or_else(|| format!("a storage's name is {}", id.describe()));
        if item(0)?.as_str() != Some("storage") {
            return Err(format!("something outside the pickle is named by {}, not by a storage", id.describe()));
        }
        let class = match item(1)?.kind() {
            Kind::Global { name, .. } => name,
            _ => return Err(format!("the class of a storage is {}", item(1)?.describe())),
        };
        let dtype = DType::of_storage(class).ok_or_else(|| format!("storages of type `{class}` are not known"))?;
        let key = item(2)?;
        let key = key.as_str().ok_or_else(|| format!("the key of a storage is {}", key.describe()))?;
        let length = size(item(4)?)?;
        let view = match id.item(5) {
            Some(view) if !view.is_none() => {
                let part = |i| view.item(i).ok_or("a view of a storage lacks its size".to_owned()).and_then(size);
                Some((part(1)?, part(2)?))
            }
            _ => None,
        };
        Ok(Self { key, dtype, untyped: class == "UntypedStorage", length, view })
    }
}

fn size(value: Value<'_>) -> Result<u64, String> {
    let size = value.as_i64().and_then(|v| u64::try_from(v).ok());
    size.ok_or_else(|| format!("the size of a storage is {}", value.describe()))
}

/// Place of a storage's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub start: u64,
    pub length: u64,
}

impl Place {
    /// The bytes that `name` speaks of.
    pub fn of(self, name: &StorageName<'_>) -> Result<Self, String> {
        let size = name.dtype.size() as u64;
        let (first, length) = name.view.unwrap_or((0, name.length));
        let bytes = length.checked_mul(size);
        let end = first.checked_mul(size).and_then(|f| f.checked_add(bytes?));
        match (end, bytes) {
            (Some(end), Some(bytes)) if end <= self.length => {
                Ok(Self { start: self.start + (end - bytes), length: bytes })
            }
            _ => {
                let (key, n, has) = (name.key, name.length, self.length);
                Err(format!("storage `{key}` should have {n} entries of {size} bytes, but has {has} bytes"))
            }
        }
    }
}
