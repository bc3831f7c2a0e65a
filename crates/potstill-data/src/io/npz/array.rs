//! A NumPy array (`.npy`), from bytes that may be anything, and to bytes.

use potstill_core::columns::ColumnValues;

/// An array in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Entries in row-major order.
    pub values: ColumnValues,
}

impl Array {
    /// An array of that shape.
    pub fn new(shape: &[usize], values: ColumnValues) -> Self {
        Self { shape: shape.to_vec(), values }
    }

    /// Entries as reals.
    ///
    /// # Errors
    /// They are no numbers.
    pub fn into_reals(self, name: &str) -> Result<Vec<f64>, String> {
        match self.values {
            ColumnValues::Real(values) => Ok(values),
            ColumnValues::Int(values) => Ok(values.into_iter().map(|v| v as f64).collect()),
            _ => Err(format!("array {name} should hold numbers")),
        }
    }
}

/// Reads a `.npy` file that is wholly in memory; allocates no more than a small multiple of it.
///
/// # Errors
/// A message about what is wrong or not supported.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    let (header, payload) = split(bytes).ok_or("is not a NumPy array, or is cut short")?;
    let header = std::str::from_utf8(header).map_err(|_| "has an unreadable header")?;
    let descr = field(header, "descr").and_then(quoted).ok_or("has no simple type")?;
    let fortran = field(header, "fortran_order").is_some_and(|v| v.starts_with("True"));
    let shape = field(header, "shape").and_then(tuple).ok_or("has no readable shape")?;
    let count = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).ok_or("has an impossible shape")?;
    let mut values = decode(descr, payload, count, &shape)?;
    if fortran && shape.len() > 1 {
        let [rows, columns] = shape[..] else { return Err(format!("is in Fortran order with shape {shape:?}")) };
        values = match &values {
            ColumnValues::Real(values) => ColumnValues::Real(transposed(values, rows, columns)),
            ColumnValues::Int(values) => ColumnValues::Int(transposed(values, rows, columns)),
            ColumnValues::Bool(values) => ColumnValues::Bool(transposed(values, rows, columns)),
            ColumnValues::Text(values) => ColumnValues::Text(transposed(values, rows, columns)),
        };
    }
    Ok(Array { shape, values })
}

/// The text of a `.npy` file that holds one text, or the first of several; `None` for numbers.
pub fn parse_text(bytes: &[u8]) -> Option<String> {
    let (header, payload) = split(bytes)?;
    let descr = field(std::str::from_utf8(header).ok()?, "descr").and_then(quoted)?;
    let (order, kind) = descr.split_at_checked(1)?;
    let (kind, length) = kind.split_at_checked(1)?;
    let length: usize = length.parse().ok()?;
    let text: String = match kind {
        "S" => payload.get(..length)?.iter().map(|&b| char::from(b)).collect(),
        "U" => {
            let entries = payload.get(..length.checked_mul(4)?)?.as_chunks::<4>().0;
            let code = |b: &[u8; 4]| if order == ">" { u32::from_be_bytes(*b) } else { u32::from_le_bytes(*b) };
            entries.iter().map(|b| char::from_u32(code(b)).unwrap_or('?')).collect()
        }
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_owned())
}

/// Header text and entries.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_at_checked(2)?;
    let (len, rest) = if version[0] == 1 {
        let (len, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_le_bytes(*len)), rest)
    } else {
        let (len, rest) = rest.split_first_chunk::<4>()?;
        (usize::try_from(u32::from_le_bytes(*len)).ok()?, rest)
    };
    rest.split_at_checked(len)
}

/// Text that follows `'name':` in the dictionary.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}':"))?;
    Some(rest.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split('\'').next()
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let inner = text.strip_prefix('(')?.split_once(')')?.0;
    inner.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect()
}

fn decode(descr: &str, payload: &[u8], count: usize, shape: &[usize]) -> Result<ColumnValues, String> {
    let unsupported = || format!("has type `{descr}`, expected numbers, truth values or text");
    let (order, kind) = descr.split_at_checked(1).ok_or_else(unsupported)?;
    let size: usize = kind.get(1..).and_then(|s| s.parse().ok()).ok_or_else(unsupported)?;
    let size = if kind.starts_with('U') { size.checked_mul(4).ok_or_else(unsupported)? } else { size };
    let wanted = count.checked_mul(size).ok_or("has an impossible shape")?;
    let entries = payload.get(..wanted).ok_or_else(|| {
        format!("has shape {shape:?} of `{descr}`, which takes {wanted} bytes, but holds {}", payload.len())
    })?;
    let big = order == ">";
    macro_rules! entries {
        ($type:ty) => {
            entries.chunks_exact(size_of::<$type>()).map(|chunk| {
                let mut bytes = [0; size_of::<$type>()];
                bytes.copy_from_slice(chunk);
                if big { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) }
            })
        };
    }
    Ok(match kind {
        "f8" => ColumnValues::Real(entries!(f64).collect()),
        "f4" => ColumnValues::Real(entries!(f32).map(f64::from).collect()),
        "i8" => ColumnValues::Int(entries!(i64).collect()),
        "i4" => ColumnValues::Int(entries!(i32).map(i64::from).collect()),
        "i2" => ColumnValues::Int(entries!(i16).map(i64::from).collect()),
        "i1" => ColumnValues::Int(entries!(i8).map(i64::from).collect()),
        "u4" => ColumnValues::Int(entries!(u32).map(i64::from).collect()),
        "u2" => ColumnValues::Int(entries!(u16).map(i64::from).collect()),
        "u1" => ColumnValues::Int(entries!(u8).map(i64::from).collect()),
        "u8" => {
            let values: Result<_, _> = entries!(u64).map(i64::try_from).collect();
            ColumnValues::Int(values.map_err(|_| "holds an integer above 2^63")?)
        }
        "b1" => ColumnValues::Bool(entries.iter().map(|byte| *byte != 0).collect()),
        _ if kind.starts_with('U') && size > 0 => {
            ColumnValues::Text(entries.chunks_exact(size).map(|chunk| unicode(chunk, big)).collect::<Result<_, _>>()?)
        }
        _ if kind.starts_with('S') && size > 0 => {
            let text = |chunk: &[u8]| String::from_utf8_lossy(chunk).trim_end_matches('\0').to_owned();
            ColumnValues::Text(entries.chunks_exact(size).map(text).collect())
        }
        _ => return Err(unsupported()),
    })
}

/// A piece of text, padded with zeros, four bytes a character.
fn unicode(chunk: &[u8], big: bool) -> Result<String, String> {
    let code = |b: &[u8; 4]| if big { u32::from_be_bytes(*b) } else { u32::from_le_bytes(*b) };
    let text: Option<String> = chunk.as_chunks().0.iter().map(|b| char::from_u32(code(b))).collect();
    let text = text.ok_or("holds characters that do not exist")?;
    Ok(text.trim_end_matches('\0').to_owned())
}

/// The bytes of an array in C order, little-endian.
pub fn encode(array: &Array) -> Vec<u8> {
    let (descr, payload) = match &array.values {
        ColumnValues::Real(values) => ("<f8".to_owned(), values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ColumnValues::Int(values) => ("<i8".to_owned(), values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ColumnValues::Bool(values) => ("|b1".to_owned(), values.iter().map(|v| u8::from(*v)).collect::<Vec<u8>>()),
        ColumnValues::Text(values) => {
            let width = values.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
            let padded = |text: &String| text.chars().chain(std::iter::repeat('\0')).take(width).collect::<Vec<_>>();
            let codes = values.iter().flat_map(padded);
            (format!("<U{width}"), codes.flat_map(|c| u32::from(c).to_le_bytes()).collect())
        }
    };
    let shape: String = array.shape.iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Entries begin at a multiple of 64 bytes, and the header ends with a line.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', length - 1 - header.len()));
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(length as u16).to_le_bytes()[..], header.as_bytes(), &payload].concat()
}

/// Row by row what was stored column by column.
fn transposed<T: Clone>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..rows).flat_map(|i| (0..columns).map(move |j| values[j * rows + i].clone())).collect()
}
