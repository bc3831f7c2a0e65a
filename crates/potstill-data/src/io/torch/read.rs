//! The entries of a tensor, read in the order in which they lie and put where they belong.

use super::DType;
use super::dtype::{bf16, f16};
use super::layout::Layout;
use super::storage::Place;
use potstill_core::files::source::ReadAt;

/// Bytes read at a time.
const WINDOW: u64 = 1 << 16;
/// Memory that a tensor of a narrow type may need beyond what it takes in the file, once widened.
const MAX_WIDENING: u64 = 32 << 20;

/// A tensor in a file, whose entries have not been read; its bounds have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// In entries, from the start of the storage.
    offset: u64,
    storage: Place,
    big_endian: bool,
}

/// A tensor's shape and entries, the last axis fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Entries in row-major order.
    pub numbers: Numbers,
}

/// Entries of an [`Array`].
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Entries of `float32`, `float16` and `bfloat16`.
    F32(Vec<f32>),
    /// Entries of `float64`.
    F64(Vec<f64>),
    /// Entries of every integer type and `bool`.
    I64(Vec<i64>),
}

impl Array {
    /// Entries as reals.
    pub fn into_f64(self) -> Vec<f64> {
        match self.numbers {
            Numbers::F32(values) => values.into_iter().map(f64::from).collect(),
            Numbers::F64(values) => values,
            Numbers::I64(values) => values.into_iter().map(|v| v as f64).collect(),
        }
    }
}

impl TensorRef {
    pub(super) fn new(layout: Layout<'_>, dtype: DType, storage: Place, big_endian: bool) -> Result<Self, String> {
        let entries = storage.length / dtype.size() as u64;
        let Layout { offset, shape, strides, .. } = layout;
        let tensor = Self { dtype, shape, strides, offset: offset as u64, storage, big_endian };
        let shape = &tensor.shape;
        let fits = tensor.checked_len().filter(|&n| n <= entries).zip(tensor.end()).filter(|&(_, end)| end <= entries);
        let Some((len, _)) = fits else {
            let (strides, offset) = (&tensor.strides, tensor.offset);
            let tensor = format!("a tensor of shape {shape:?}, strides {strides:?} and offset {offset}");
            return Err(format!("{tensor} does not fit into its storage of {entries} entries"));
        };
        if len * tensor.widened() > len * dtype.size() as u64 + MAX_WIDENING {
            return Err(format!("a tensor of shape {shape:?} and type {dtype:?} needs too much memory once widened"));
        }
        Ok(tensor)
    }

    /// Type of its entries in the file.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of its entries.
    pub fn n_entries(&self) -> usize {
        self.shape.iter().product()
    }

    fn checked_len(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |n, &d| n.checked_mul(d as u64))
    }

    /// The entry of the storage behind the last that the tensor needs.
    fn end(&self) -> Option<u64> {
        if self.shape.contains(&0) {
            return Some(self.offset);
        }
        let mut axes = self.shape.iter().zip(&self.strides);
        let last = axes.try_fold(self.offset, |at, (&d, &s)| at.checked_add((d as u64 - 1).checked_mul(s as u64)?))?;
        last.checked_add(1)
    }

    /// Bytes of an entry in memory.
    fn widened(&self) -> u64 {
        match self.dtype {
            DType::F32 | DType::F16 | DType::BF16 => 4,
            _ => 8,
        }
    }

    /// Reads the entries; needs the memory of the result and 64 KiB.
    pub(super) fn read(&self, source: &(impl ReadAt + ?Sized)) -> Result<Array, String> {
        let numbers = match self.dtype {
            DType::F64 => Numbers::F64(self.gather(source, f64::from_le_bytes)?),
            DType::F32 => Numbers::F32(self.gather(source, f32::from_le_bytes)?),
            DType::F16 => Numbers::F32(self.gather(source, |b| f16(u16::from_le_bytes(b)))?),
            DType::BF16 => Numbers::F32(self.gather(source, |b| bf16(u16::from_le_bytes(b)))?),
            DType::I64 => Numbers::I64(self.gather(source, i64::from_le_bytes)?),
            DType::I32 => Numbers::I64(self.gather(source, |b| i32::from_le_bytes(b).into())?),
            DType::I16 => Numbers::I64(self.gather(source, |b| i16::from_le_bytes(b).into())?),
            DType::I8 => Numbers::I64(self.gather(source, |b| i8::from_le_bytes(b).into())?),
            DType::U8 | DType::Bool => Numbers::I64(self.gather(source, |[b]| b.into())?),
        };
        Ok(Array { shape: self.shape.clone(), numbers })
    }

    fn gather<T: Clone + Default, const N: usize>(
        &self,
        source: &(impl ReadAt + ?Sized),
        decode: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, String> {
        let mut values = vec![T::default(); self.n_entries()];
        if values.is_empty() {
            return Ok(values);
        }
        let axes = self.axes();
        let mut counter = vec![0_usize; axes.len()];
        let (mut from, mut to) = (self.offset, 0_usize);
        let mut window = Window { source, storage: self.storage, at: 0, bytes: Vec::new() };
        loop {
            let mut entry: [u8; N] = window.entry(from)?;
            if self.big_endian {
                entry.reverse();
            }
            if let Some(value) = values.get_mut(to) {
                *value = decode(entry);
            }
            // Counts up like the digits of a number, the axis with the smallest stride first.
            let mut axis = axes.len();
            loop {
                let Some(next) = axis.checked_sub(1) else { return Ok(values) };
                axis = next;
                let Axis { size, stride, step } = axes[axis];
                counter[axis] += 1;
                if counter[axis] < size {
                    from += stride;
                    to += step;
                    break;
                }
                counter[axis] = 0;
                from -= stride * (size as u64 - 1);
                to -= step * (size - 1);
            }
        }
    }

    /// Axes with the largest stride first, so that the storage is read from front to back.
    fn axes(&self) -> Vec<Axis> {
        let mut step = self.n_entries();
        let mut axes = Vec::with_capacity(self.shape.len());
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            step /= size.max(1);
            if size > 1 {
                axes.push(Axis { size, stride: stride as u64, step });
            }
        }
        axes.sort_by_key(|axis| std::cmp::Reverse(axis.stride));
        axes
    }
}

#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    /// In the storage.
    stride: u64,
    /// In the result.
    step: usize,
}

/// The part of a storage that is in memory.
struct Window<'a, S: ?Sized> {
    source: &'a S,
    storage: Place,
    /// Position of `bytes` in the storage.
    at: u64,
    bytes: Vec<u8>,
}

impl<S: ReadAt + ?Sized> Window<'_, S> {
    /// Entry `index` of the storage, each of `N` bytes.
    fn entry<const N: usize>(&mut self, index: u64) -> Result<[u8; N], String> {
        let start = index * N as u64;
        let inside = |w: &Self| {
            let from = usize::try_from(start.checked_sub(w.at)?).ok()?;
            w.bytes.get(from..from.checked_add(N)?)?.try_into().ok()
        };
        if let Some(entry) = inside(self) {
            return Ok(entry);
        }
        let length = self.storage.length.saturating_sub(start).min(WINDOW);
        self.bytes.resize(length as usize, 0);
        self.source.fill(self.storage.start + start, &mut self.bytes)?;
        self.at = start;
        inside(self).ok_or_else(|| "a storage is cut short".into())
    }
}
