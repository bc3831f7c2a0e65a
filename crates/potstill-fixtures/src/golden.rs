//! Tensors and JSON of golden files.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

/// One tensor in f64, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Values widened to f64.
    pub values: Vec<f64>,
    /// Whether the file holds true f64; otherwise the values were rounded to f32.
    pub exact: bool,
}

impl Golden {
    /// Largest difference to `values`, relative to the largest entry of the golden tensor.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn relative_difference(&self, values: &[f64]) -> f64 {
        assert_eq!(self.values.len(), values.len(), "expected {:?}", self.shape);
        let scale = self.values.iter().fold(0.0_f64, |m, v| m.max(v.abs())).max(1e-300);
        let difference = self.values.iter().zip(values).map(|(a, b)| (a - b).abs()).fold(0.0, nan_max);
        if difference == 0.0 { 0.0 } else { difference / scale }
    }

    /// Values as integers.
    pub fn integers(&self) -> Vec<i64> {
        self.values.iter().map(|&v| v as i64).collect()
    }
}

/// A maximum that does not lose a NaN.
fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// All tensors of a safetensors file by name.
///
/// # Panics
/// When the file is missing or malformed: golden data is part of the test.
pub fn read(path: &Path) -> BTreeMap<String, Golden> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let golden = |(name, view): (String, safetensors::tensor::TensorView)| {
        let values = widened(view.dtype(), view.data());
        let values =
            values.unwrap_or_else(|| panic!("{}: {name}: {:?} is not read here", path.display(), view.dtype()));
        (name, Golden { shape: view.shape().to_vec(), values, exact: view.dtype() == Dtype::F64 })
    };
    tensors.tensors().into_iter().map(golden).collect()
}

/// Little-endian numbers in f64, `None` for a type that golden files do not have.
fn widened(dtype: Dtype, data: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(array(b))).collect(),
        Dtype::F32 => data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(array(b)))).collect(),
        Dtype::I32 => data.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(array(b)))).collect(),
        Dtype::I64 => data.chunks_exact(8).map(|b| i64::from_le_bytes(array(b)) as f64).collect(),
        Dtype::BOOL | Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
        _ => return None,
    })
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

/// JSON of a golden file.
///
/// # Panics
/// When the file is missing or malformed.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
