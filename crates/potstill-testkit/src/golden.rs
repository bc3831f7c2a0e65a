//! Golden tensors made by the reference implementation.
//!
//! The full set lies beside the repository at `../shared/fixtures` and is used when it exists; a small part ships
//! under `testdata/`, so that a lone clone still proves parity.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use potstill_core::System;
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
    tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let data = view.data();
            let values: Vec<f64> = match view.dtype() {
                Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(array(b))).collect(),
                Dtype::F32 => data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(array(b)))).collect(),
                Dtype::I32 => data.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(array(b)))).collect(),
                Dtype::I64 => data.chunks_exact(8).map(|b| i64::from_le_bytes(array(b)) as f64).collect(),
                Dtype::BOOL | Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
                other => panic!("{}: {name}: {other:?} is not read here", path.display()),
            };
            (name, Golden { shape: view.shape().to_vec(), values, exact: view.dtype() == Dtype::F64 })
        })
        .collect()
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

/// Root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The golden files of one kind (`models/painn_direct`, `kd_losses`, …): the full set when it lies beside the
/// repository, else the part that ships with it, else `None` with a line that says what was left out.
pub fn fixtures(kind: &str) -> Option<PathBuf> {
    let full = workspace().join("../shared/fixtures").join(kind);
    let shipped = workspace().join("testdata/fixtures").join(kind);
    [full, shipped].into_iter().find(|path| path.exists()).or_else(|| {
        eprintln!("left out: golden {kind} (the full set of fixtures is not beside this repository)");
        None
    })
}

/// A dataset beside the repository, else `None` with a line that says what was left out.
pub fn data(path: &str) -> Option<PathBuf> {
    let full = workspace().join("../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("left out: tests on {path} (the full data is not beside this repository)");
    None
}

/// A structure of the golden set by its name.
///
/// # Panics
/// When there is no such structure: golden models come with theirs.
pub fn structure(name: &str) -> System {
    let folder = fixtures("structures").expect("golden models come with their structures");
    for file in ["molecules.extxyz", "slabs.extxyz"] {
        for system in potstill_data::io::read(&folder.join(file), &Default::default()).unwrap() {
            let system = system.unwrap();
            if system.name().as_deref() == Some(name) {
                return system;
            }
        }
    }
    panic!("no structure {name}")
}
