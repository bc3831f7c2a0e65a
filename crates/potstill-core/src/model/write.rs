//! Writing model files and other files of named tensors.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::Header;
use super::file::HEADER_KEY;
use crate::files::seal;
use crate::{Error, Result};

/// Named tensors with their type, shape and bytes, little-endian.
pub type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// Writes a model file through a temporary name.
///
/// # Errors
/// See [`write_tensors`].
pub fn write_model(path: &Path, header: &Header, tensors: &Tensors) -> Result<()> {
    let header = serde_json::to_string(header).map_err(|e| Error::file(path, format!("header: {e}")))?;
    write_tensors(path, HEADER_KEY, &header, tensors)
}

/// Writes `tensors`, one metadata entry and a checksum to a safetensors file, through a temporary name.
///
/// Readers call [`verify`](crate::files::checksum::verify) before they use anything of the file.
///
/// # Errors
/// What the file system says; a file of that name is then as it was before.
pub fn write_tensors(path: &Path, key: &str, header: &str, tensors: &Tensors) -> Result<()> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in tensors {
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .map_err(|e| Error::file(path, format!("tensor {name} cannot be written: {e}")))?;
        views.push((name.as_str(), view));
    }
    let metadata = [(key.to_owned(), header.to_owned())].into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::file(path, format!("cannot be written: {e}")))?;
    let head = bytes.first_chunk().map_or(0, |n| 8 + u64::from_le_bytes(*n));
    let (head, body) = bytes.split_at(usize::try_from(head).unwrap_or(bytes.len()).min(bytes.len()));
    seal::write_sealed(path, head, &|writer| writer.write_all(body))
}

/// Head of a model file whose tensors, in f32, little-endian, follow in the order of `tensors` (name and shape).
///
/// Eight bytes with the length of the description, and the description; for writers that never hold all tensors, with
/// [`seal::write_sealed`].
pub fn model_file_head<'a>(header: &str, tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> Vec<u8> {
    let mut description = serde_json::Map::new();
    description.insert("__metadata__".to_owned(), serde_json::json!({ HEADER_KEY: header }));
    let mut start = 0;
    for (name, shape) in tensors {
        let end = start + 4 * shape.iter().product::<usize>();
        let tensor = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        description.insert(name.to_owned(), tensor);
        start = end;
    }
    let mut text = serde_json::Value::Object(description).to_string().into_bytes();
    // Tensors begin at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.extend(text);
    head
}
